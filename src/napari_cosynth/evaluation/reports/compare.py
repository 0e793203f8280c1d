"""Comparison of two reports: the differences of their figures, and which of them hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.evaluation.metrics.bootstrap import interval
from napari_cosynth.evaluation.reports.figure import INCEPTION, JUDGES, SEGMENTER, TILE_ENCODER
from napari_cosynth.evaluation.reports.report import FORMAT
from napari_cosynth.foreign.files import read_json

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """The difference of one figure between two reports, A and B."""

    section: str
    name: str
    of: str
    a: float
    b: float
    low: float
    """Lower end of the 95 % interval of b - a; NaN if a or b has no interval."""
    high: float
    """Upper end of that interval."""
    real: float
    """The figure of real patches; NaN if they have none."""
    better: str
    """Which values are better, as in :attr:`~napari_cosynth.evaluation.reports.figure.Figure.better`."""

    @property
    def holds(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.low > 0 or self.high < 0

    @property
    def verdict(self) -> str:
        """The better report, ``A`` or ``B``; ``differs`` if neither is; empty if nothing holds."""
        if not self.holds:
            return ""
        if self.better == "real" and not np.isnan(self.real):
            return "B" if abs(self.b - self.real) < abs(self.a - self.real) else "A"
        if self.better not in ("higher", "lower"):
            return "differs"
        return "B" if (self.low > 0) == (self.better == "higher") else "A"


def read_report(path: Path) -> dict[str, Any]:
    """The content of a report's JSON file. Raises ValueError naming file and field."""
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path}: format: expected a report of format {FORMAT}")
    for name, kind in (("figures", list), ("identity", dict)):
        if not isinstance(content.get(name), kind):
            raise ValueError(f"{path}: {name}: missing or of the wrong type")
    for i, row in enumerate(content["figures"]):
        if not isinstance(row, dict) or not isinstance(row.get("draws"), list):
            raise ValueError(f"{path}: figures: {i}: draws: missing or of the wrong type")
        for key in ("section", "name", "of", "better"):
            if not isinstance(row.get(key), str):
                raise ValueError(f"{path}: figures: {i}: {key}: missing or of the wrong type")
        values = [row.get("value"), row.get("real"), *row["draws"]]
        if not all(v is None or isinstance(v, int | float) for v in values):
            raise ValueError(f"{path}: figures: {i}: value, real, draws: expected numbers or null")
    return content


def _floats(values: Iterable[float | None]) -> Floats:
    return np.array([np.nan if v is None else v for v in values], np.float64)


def compare(a: dict[str, Any], b: dict[str, Any]) -> tuple[list[Difference], list[str]]:
    """The differences b - a of the figures that both reports have, and notes on the comparison.

    If the layouts agree, draws are subtracted pair by pair, which removes the variation that both share;
    else they are taken as independent. Figures of networks that differ are left out, and a note says so.
    Raises ValueError if the reports were made against different real patches.
    """
    ours, theirs = a["identity"], b["identity"]
    if ours.get("real") != theirs.get("real"):
        raise ValueError("the reports were made against different real patches")
    paired = ours.get("groups") == theirs.get("groups")
    notes = [
        "the layouts agree: draws are compared pair by pair"
        if paired
        else "the layouts differ: the two sets of draws are taken as independent"
    ]
    skipped = {
        kind: (ours.get(kind), theirs.get(kind))
        for kind in JUDGES
        if ours.get(kind) != theirs.get(kind)
    }
    notes += [f"figures of the {kind} are left out: not the same in both" for kind in skipped]
    others = {(r["section"], r["name"], r["of"]): r for r in b["figures"]}
    rng = np.random.default_rng(0)
    found = []
    for row in a["figures"]:
        key = row["section"], row["name"], row["of"]
        other = others.get(key)
        if other is None or any(_depends(key, kind) for kind in skipped):
            continue
        before, after = _floats(row["draws"]), _floats(other["draws"])
        if not paired:
            after = rng.permutation(after)
        count = min(len(before), len(after))
        low, high = interval(after[:count] - before[:count])
        a_value, b_value, real = _floats([row["value"], other["value"], row["real"]]).tolist()
        found.append(Difference(*key, a_value, b_value, low, high, real, row["better"]))
    return found, notes


def _depends(key: tuple[str, str, str], kind: str) -> bool:
    section, name, _ = key
    if kind == INCEPTION:
        return name.split(",")[0] in ("FID", "KID", "IS")
    if kind == SEGMENTER:
        return kind in section
    return kind in name or (kind == TILE_ENCODER and section == "Memorisation")
