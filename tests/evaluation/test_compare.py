"""Which of two reports' differences hold, and which of the two is the better; by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_cosynth.evaluation.reports.compare import Difference, compare, read_report

NAN = float("nan")


def difference(low: float, high: float, better: str = "", a=1.0, b=2.0, real=NAN) -> Difference:
    return Difference("section", "name", "all", a, b, low, high, real, better)


@pytest.mark.parametrize(
    "found,verdict",
    [
        (difference(-1, 1, "higher"), ""),
        (difference(0, 1, "higher"), ""),
        (difference(-1, 0, "higher"), ""),
        (difference(NAN, NAN, "higher"), ""),
        (difference(0.1, 1, "higher"), "B"),
        (difference(0.1, 1, "lower"), "A"),
        (difference(-1, -0.1, "higher"), "A"),
        (difference(-1, -0.1, "lower"), "B"),
        (difference(0.1, 1), "differs"),
        (difference(0.1, 1, "real"), "differs"),
        (difference(0.1, 1, "real", 1, 2, real=1.9), "B"),
        (difference(0.1, 1, "real", 1, 2, real=1.1), "A"),
        (difference(0.1, 1, "real", 1, 2, real=0), "A"),
        (difference(0.1, 1, "real", 1, 2, real=9), "B"),
    ],
)
def test_the_verdict(found: Difference, verdict: str) -> None:
    assert found.verdict == verdict and found.holds == bool(verdict)


def row(name: str, draws: Any, section: str = "Images", **changes: Any) -> dict[str, Any]:
    values = {"section": section, "name": name, "of": "all", "better": "lower", "value": 1.0}
    return {**values, "real": None, "draws": list(draws), **changes}


def report(*rows: dict[str, Any], **identity: str) -> dict[str, Any]:
    return {"format": 1, "identity": {"real": "r", "groups": "g", **identity}, "figures": [*rows]}


def test_draws_of_the_same_layouts_are_compared_pair_by_pair() -> None:
    draws = np.random.default_rng(0).normal(0, 9, 50)
    one = report(row("only here", draws), row("x", draws, value=3.0, real=2.0))
    two = report(row("x", [*(draws + 1), 99.0], value=None), row("only there", draws))
    (found,), notes = compare(one, two)
    assert (found.section, found.name, found.of, found.better) == ("Images", "x", "all", "lower")
    assert found.a == 3 and np.isnan(found.b) and found.real == 2
    assert (found.low, found.high) == pytest.approx((1, 1))
    assert notes == ["the layouts agree: draws are compared pair by pair"]
    (apart,), notes = compare(one, report(*two["figures"], groups="other"))
    assert apart.low < -10 and apart.high > 10
    assert notes == ["the layouts differ: the two sets of draws are taken as independent"]
    (few,), _ = compare(one, report(row("x", [None] * 30 + [0.0] * 20)))
    assert np.isnan(few.low)


def test_figures_of_a_network_that_is_another_are_left_out() -> None:
    rows = [
        row("FID, over something", [1]),
        row("FIDDLE", [1]),
        row("x (ImageNet features)", [1]),
        row("Dice", [1], "Labels by the segmenter"),
        row("x (tile encoder)", [1]),
        row("ratio", [1], "Memorisation"),
        row("plain", [1]),
    ]
    names = {
        "Inception": {"FID, over something"},
        "ImageNet features": {"x (ImageNet features)"},
        "segmenter": {"Dice"},
        "tile encoder": {"x (tile encoder)", "ratio"},
    }
    for network, gone in names.items():
        found, notes = compare(report(*rows), report(*rows, **{network: "other"}))
        assert {r["name"] for r in rows} - {d.name for d in found} == gone
        assert notes[1:] == [f"figures of the {network} are left out: not the same in both"]
    with pytest.raises(ValueError, match="different real patches"):
        compare(report(), report(real="others"))


@pytest.mark.parametrize(
    "spoil,message",
    [
        (lambda c: [c], "format: expected a report of format 1"),
        (lambda c: {**c, "format": 2}, "format: expected a report of format 1"),
        (lambda c: {**c, "figures": {}}, "figures: missing or of the wrong type"),
        (lambda c: {**c, "identity": []}, "identity: missing or of the wrong type"),
        (lambda c: {**c, "figures": [row("x", []), 3]}, "figures: 1: draws: missing"),
        (lambda c: {**c, "figures": [{**row("x", []), "draws": 3}]}, "figures: 0: draws: missing"),
        (lambda c: {**c, "figures": [row("x", [], of=3)]}, "figures: 0: of: missing"),
        (lambda c: {**c, "figures": [row(None, [])]}, "figures: 0: name: missing"),  # type: ignore[arg-type]
        (lambda c: {**c, "figures": [row("x", [1, "2"])]}, "expected numbers or null"),
        (lambda c: {**c, "figures": [row("x", [1], value="2")]}, "expected numbers or null"),
        (lambda c: {**c, "figures": [row("x", [1], real=[])]}, "expected numbers or null"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, spoil, message: str) -> None:
    path = tmp_path / "report.json"
    content = report(row("x", [1, 2.5, None]), real="r")
    path.write_text(json.dumps(content))
    assert read_report(path) == content
    path.write_text(json.dumps(spoil(content)))
    with pytest.raises(ValueError, match=f"report.json: .*{message}"):
        read_report(path)
