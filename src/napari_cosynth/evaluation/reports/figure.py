"""One figure of a report, and its reference value from halves of the real tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from napari_cosynth.evaluation.metrics.bootstrap import Estimate
from napari_cosynth.evaluation.metrics.quotients import mean_defined
from napari_cosynth.evaluation.reports.samples import Rows, Samples

ALL = "all"
TILE_ENCODER, IMAGENET, INCEPTION, SEGMENTER = JUDGES = (
    "tile encoder",
    "ImageNet features",
    "Inception",
    "segmenter",
)
"""Networks that figures depend on, by their names in figures and in a report's identity."""
OVER_HALVES = "over that between halves of the real tiles"
"""End of the name of a distance that is divided by the distance between halves of the real tiles."""


@dataclass(frozen=True)
class Figure:
    """One cell of the report."""

    section: str
    name: str
    of: str
    """A class' name, or ``all``."""
    estimate: Estimate
    real: float = float("nan")
    """The same figure of real patches, or of real patches against other real ones."""
    better: str = ""
    """Which value is better: ``lower``, ``higher``, ``real`` (nearer to ``real``), or empty."""
    seeds: tuple[float, ...] = ()
    """The figure of each trained network, if networks are trained."""


def halved(real: Samples, distance: Callable[[Rows, Rows], float]) -> float:
    """A distance between two halves of the real patches' groups, which sampling alone causes.

    Halves are smaller than the whole, so a biased distance is larger than between whole sets. NaN below
    two groups.
    """
    names = sorted(set(real.groups))
    if len(names) < 2:
        return float("nan")
    first = set(names[::2])
    rows = [np.flatnonzero([(g in first) == side for g in real.groups]) for side in (True, False)]
    return distance(rows[0], rows[1])


def halved_many(
    real: Samples, distance: Callable[[Rows, Rows], float], splits: int = 12, seed: int = 0
) -> float:
    """The mean of :func:`halved` over random splits of the groups, for use as a divisor."""
    names = sorted(set(real.groups))
    if len(names) < 2:
        return float("nan")
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(splits):
        first = set(rng.permutation(names)[: len(names) // 2].tolist())
        inside = np.array([g in first for g in real.groups], bool)
        found.append(distance(np.flatnonzero(inside), np.flatnonzero(~inside)))
    return mean_defined(found)
