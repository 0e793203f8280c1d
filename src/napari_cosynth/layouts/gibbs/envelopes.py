"""Envelopes and scores of summary functions: how well simulated layouts match a real one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cosynth.layouts.gibbs.statistics import (
    Floats,
    empty_space,
    j_function,
    micrometres,
    nearest_neighbour,
    pair_correlation,
)
from napari_cosynth.types import Layout

EDGES = np.array([0, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 25, 30, 40, 50.0])
"""Edges of the bins of pair correlations, in µm."""
RADII = np.arange(1.0, 26)
"""Radii at which the distribution functions of distances are compared, in µm."""
FAMILIES = {
    "g": "pair correlation g_ij",
    "D": "nearest neighbour D_ij (G for i = j)",
    "F": "empty space F_i",
    "J": "J_i",
}
LEAST = 20
"""Fewest nuclei of a class whose functions are compared; those of fewer are too noisy."""


def usual_classes(layout: Layout) -> list[int]:
    """Ids of the classes with at least ``LEAST`` nuclei."""
    counts = np.bincount(layout.class_ids, minlength=len(layout.classes))
    return [int(i) for i in np.flatnonzero(counts >= LEAST)]


def summaries(layout: Layout, classes: Sequence[int]) -> dict[str, Floats]:
    """Summary functions by name, such as ``"g 1 2"``; NaN or 0 for classes without nuclei.

    Pair correlations are given as square roots, which makes their spread even. J is clipped at 3.
    """
    points, extent = micrometres(layout)
    of = {i: points[layout.class_ids == i] for i in classes}
    found: dict[str, Floats] = {}
    for i in classes:
        for j in classes:
            found[f"D {i} {j}"] = nearest_neighbour(of[i], of[j], extent, RADII, i == j)
            if i <= j:
                g = pair_correlation(of[i], of[j], extent, EDGES, i == j)
                found[f"g {i} {j}"] = np.sqrt(g)
        found[f"F {i}"] = empty_space(of[i], extent, RADII)
        found[f"J {i}"] = np.minimum(j_function(of[i], extent, RADII), 3)
    return found


def crps(seen: Floats, simulated: Floats) -> Floats:
    """Continuous ranked probability score at each radius, (R,), in the function's unit; lower is better.

    It is E|X - y| - E|X - X'| / 2 (Gneiting and Raftery 2007), for the seen values y (R,) and the
    simulated sample X (N, R), N at least 2. The second mean is over different members, so that a small
    sample is not penalised. The score penalises a wrong centre and a spread that is too wide or narrow.
    """
    number = len(simulated)
    ordered = np.sort(simulated, axis=0)
    rank = 2 * np.arange(1, number + 1) - number - 1
    between = 2 * (rank[:, None] * ordered).sum(0) / (number * (number - 1))
    return np.asarray(np.abs(simulated - seen).mean(0) - between / 2, np.float64)


@dataclass(frozen=True)
class Score:
    """Comparison of one function of a real layout with simulated ones."""

    crps: float
    """Mean over the radii."""
    inside: float
    """Share of the radii at which the function lies within the envelope (least to greatest)."""
    width: float
    """Mean width of the envelope."""


def score(seen: Floats, simulated: Iterable[Floats]) -> Score | None:
    """The score of a function; None where fewer than 5 simulated layouts or no radius are comparable."""
    sample = np.array([s for s in simulated if np.isfinite(s).mean() > 0.5])
    if len(sample) < 5:
        return None
    usable: npt.NDArray[np.bool_] = np.isfinite(seen) & np.isfinite(sample).all(0)
    if not usable.any():
        return None
    seen, sample = seen[usable], sample[:, usable]
    low, high = sample.min(0), sample.max(0)
    return Score(
        float(crps(seen, sample).mean()),
        float(((seen >= low - 1e-9) & (seen <= high + 1e-9)).mean()),
        float((high - low).mean()),
    )
