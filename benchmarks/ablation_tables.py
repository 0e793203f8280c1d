"""The tables of ablations.py: each variant's differences to the baseline, and what chance does."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from napari_cosynth.evaluation.metrics.bootstrap import bootstrap_weights, weighted_mean

Table = dict[str, Any]
BASELINE, CHANCE = "baseline", "nothing but another seed"
ERRORS = ("image, CoNSeP", "image, others", "distance", "labels")
SAMPLES = (
    "spectrum, dB off",
    "Laplacian, share off",
    "colour, grey levels off",
    "points with their class",
    "foreground off, share of pixels",
)


def report(out: Path, variants: Iterable[str]) -> str:
    """Both tables, over the folds that a variant and the baseline both have."""
    found: dict[str, dict[int, Table]] = {}
    for path in sorted(out.glob("*.json")):
        content = json.loads(path.read_text())
        found.setdefault(content["variant"], {})[content["fold"]] = content
    order = [v for v in variants if v in found]
    parts = (("errors", ERRORS), ("samples", SAMPLES))
    return "\n\n".join(markdown(found, order, part, figures) for part, figures in parts)


def markdown(
    found: dict[str, dict[int, Table]], order: list[str], part: str, figures: tuple[str, ...]
) -> str:
    """A row per variant: the baseline's figures, then differences to them."""
    lines = ["| | folds | steps | " + " | ".join(figures) + " |"]
    lines.append("| --- " * (len(figures) + 3) + "|")
    for variant in order:
        folds = sorted(found[variant].keys() & found[BASELINE].keys())
        cells = []
        for figure in figures:
            by_fold = differences(found, variant, folds, part, figure)
            chance = differences(found, CHANCE, folds, part, figure)
            cells.append(cell(by_fold, chance, variant == BASELINE))
        steps = {found[variant][fold]["steps"] for fold in folds}
        counted = ", ".join(f"{n:,}" for n in sorted(steps))
        lines.append(f"| {variant} | {len(folds)} | {counted} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


Differences = dict[int, list[tuple[str, float]]]
"""By fold, the tile and the difference of each patch."""


def differences(
    found: dict[str, dict[int, Table]], variant: str, folds: list[int], part: str, figure: str
) -> Differences:
    """A variant's figures minus the baseline's; the baseline's own are left as they are."""
    by_fold: Differences = {}
    for fold in folds:
        if fold not in found.get(variant, {}):
            continue
        both = zip(found[BASELINE][fold][part], found[variant][fold][part], strict=True)
        by_fold[fold] = [
            (ours["tile"], ours[figure] - (0.0 if variant == BASELINE else theirs[figure]))
            for theirs, ours in both
            if figure in theirs
        ]
    return by_fold


def means(by_fold: Differences) -> list[float]:
    return [float(np.nanmean([value for _, value in rows])) for rows in by_fold.values()]


def cell(by_fold: Differences, chance: Differences, baseline: bool) -> str:
    """The mean with its interval, in bold where neither tiles nor another seed explain it."""
    rows = [row for rows in by_fold.values() for row in rows]
    estimate = weighted_mean([v for _, v in rows], bootstrap_weights([tile for tile, _ in rows]))
    low, high = estimate.interval
    if baseline:
        return f"{estimate.value:.3g} ({low:.3g} to {high:.3g})"
    by_chance = np.sqrt(np.mean(np.square(means(chance))) / len(by_fold)) if chance else 0.0
    told_apart = (low > 0 or high < 0) and abs(estimate.value) > 2 * by_chance
    mark = "**" if told_apart and by_fold != chance else ""
    return f"{mark}{estimate.value:+.2g}{mark} ({low:.2g} to {high:.2g})"
