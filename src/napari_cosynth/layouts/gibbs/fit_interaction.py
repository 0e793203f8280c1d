"""Fit of hard cores and pair potentials between nuclei, from annotated tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from napari_cosynth.layouts.gibbs.statistics import close_pairs, nearest_distances
from napari_cosynth.layouts.gibbs.tiles import Floats, Ints, Tile

KNOTS = (2.0, 3.0, 4.0, 5.0, 6.0, 7.5, 9.0, 11.5, 14.0)
"""Distances in µm at which pair potentials are fitted; from the last on they are 0."""
RING = 40.0
"""Outer radius in µm of the ring whose density stands for the local intensity in the potentials' fit."""
DUMMIES = 4
"""Dummy points per nucleus."""


def fit_hard_core(tiles: Sequence[Tile], count: int, share: float = 0.01) -> Floats:
    """Hard cores in µm, (K, K): all but ``share`` of the nuclei keep this distance between two classes.

    The true minimum would come from annotation errors, such as a nucleus in two parts. Two classes that
    are seldom neighbours take the mean of their own hard cores.
    """
    core = np.full((count, count), np.nan)
    for i in range(count):
        for j in range(count):
            found = np.concatenate(
                [nearest_distances(t.of_class(i), t.of_class(j), i == j) for t in tiles]
                or [np.zeros(0)]
            )
            found = found[found < KNOTS[-1]]
            if len(found) >= 50:
                core[i, j] = np.quantile(found, share)
    own = np.diag(core)
    usual = float(np.nanmedian(own)) if np.isfinite(own).any() else 3.0
    own = np.where(np.isnan(own), usual, own)
    core[np.diag_indices(count)] = own
    core = np.fmin(core, core.T)
    return np.where(np.isnan(core), (own[:, None] + own) / 2, core)


def without_fragments(tile: Tile, core: Floats) -> Tile:
    """The tile without fragments: of nuclei closer than the hard core only the first stays."""
    rows, columns = close_pairs(tile.points, tile.points, float(core.max(initial=0)))
    closer = np.hypot(*(tile.points[rows] - tile.points[columns]).T)
    bad = (rows < columns) & (closer < core[tile.classes[rows], tile.classes[columns]])
    keep = np.ones(len(tile.points), bool)
    for row, column in zip(rows[bad], columns[bad], strict=True):
        if keep[row]:
            keep[column] = False
    return Tile(tile.points[keep], tile.classes[keep], tile.extent)


def hats(distance: Floats, knots: Floats) -> Floats:
    """Values (N, B - 1) of the hat functions: piecewise linear, 1 at one knot and 0 at the others.

    The first function is also 1 below its knot. The last knot has none, since potentials are 0 there.
    """
    return np.stack(
        [np.interp(distance, knots, np.eye(len(knots))[b]) for b in range(len(knots) - 1)], 1
    )


def pair_sums(
    points: Floats, classes: Ints, others: Tile, count: int, knots: Floats, same: bool
) -> Floats:
    """Sums of the hat functions over each point's neighbours by class, (N, K, B - 1).

    ``same`` means that the points are those of ``others``, so that none is its own neighbour.
    """
    rows, columns = close_pairs(points, others.points, float(knots[-1]))
    if same:
        rows, columns = (side[rows != columns] for side in (rows, columns))
    values = hats(np.hypot(*(points[rows] - others.points[columns]).T), knots)
    sums = np.zeros((len(points), count, len(knots) - 1))
    np.add.at(sums, (rows, others.classes[columns]), values)
    return sums


def _surroundings(points: Floats, tile: Tile, count: int, inner: float, outer: float) -> Floats:
    """log of each class' density in a ring around each point, over its density in the tile, (N, K)."""
    rows, columns = close_pairs(points, tile.points, outer)
    keep = np.hypot(*(points[rows] - tile.points[columns]).T) >= inner
    found = np.zeros((len(points), count))
    np.add.at(found, (rows[keep], tile.classes[columns[keep]]), 1)
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radii = np.sqrt(np.linspace(inner**2, outer**2, 7)[1:] - (outer**2 - inner**2) / 12)
    spokes = np.stack([np.outer(radii, np.sin(turn)), np.outer(radii, np.cos(turn))], -1)
    places = points[:, None] + spokes.reshape(-1, 2)
    seen = ((places >= 0) & (places < tile.extent)).all(-1).mean(1)
    usual = np.outer(seen, tile.counts(count) / tile.area) * np.pi * (outer**2 - inner**2)
    return np.asarray(np.log((found + 1) / (usual + 1)))


def _rows_of(
    tile: Tile, core: Floats, knots: Floats, surroundings: bool, rng: np.random.Generator
) -> tuple[Ints, Floats, Floats, Floats, npt.NDArray[np.bool_]]:
    """Nuclei and dummies of one tile: classes, pair sums, surroundings, offsets, and True for nuclei."""
    count = len(core)
    own = tile.counts(count)
    dummies = own * DUMMIES
    points = rng.uniform(0, 1, (int(dummies.sum()), 2)) * tile.extent
    classes = np.repeat(np.arange(count), dummies)
    near, other = close_pairs(points, tile.points, float(core.max()))
    away = np.hypot(*(points[near] - tile.points[other]).T)
    hit = near[away < core[classes[near], tile.classes[other]]]
    free = np.ones(len(points), bool)
    free[hit] = False  # no nucleus can be there, so these dummies carry no information
    points, classes = points[free], classes[free]
    sums = np.concatenate(
        [
            pair_sums(tile.points, tile.classes, tile, count, knots, True),
            pair_sums(points, classes, tile, count, knots, False),
        ]
    )
    real = np.arange(len(sums)) < len(tile.points)
    points, classes = np.vstack([tile.points, points]), np.concatenate([tile.classes, classes])
    around = np.zeros((len(points), count))
    if surroundings:
        around = _surroundings(points, tile, count, float(knots[-1]), RING)
    offset = np.full(len(points), -np.log(DUMMIES))
    deep = ((points >= knots[-1]) & (points < tile.extent - knots[-1])).all(1)
    return classes[deep], sums[deep], around[deep], offset[deep], real[deep]


def fit_potentials(
    tiles: Sequence[Tile],
    core: Floats,
    knots: Sequence[float] = KNOTS,
    surroundings: bool = True,
    ridge: float = 1.0,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Pair potentials by maximum pseudo-likelihood in its logistic form.

    A logistic regression on the neighbours' hat functions tells nuclei from dummy points (Baddeley,
    Coeurjolly, Rubak and Waagepetersen 2014). With ``surroundings``, each class' density in a ring beyond
    the potentials' reach stands for the fields.

    Args:
        tiles: patterns that keep the hard cores ``core`` (K, K).
        ridge: weight of the squared differences between neighbouring knots.

    Returns:
        Potentials at the knots, symmetric (K, K, B) with 0 at the last; and log intercepts (K,), the log
        of the activity over the class' density in its tile.
    """
    rng = np.random.default_rng(seed)
    knot = np.asarray(knots, float)
    count, bins = len(core), len(knot) - 1
    first, second = np.triu_indices(count)
    number = np.zeros((count, count), int)
    number[first, second] = number[second, first] = np.arange(len(first))
    parts = [_rows_of(tile, core, knot, surroundings, rng) for tile in tiles if len(tile.points)]
    classes, sums, around, offset, real = (np.concatenate(p) for p in zip(*parts, strict=True))
    pair_columns = len(first) * bins
    design = np.zeros((len(classes), pair_columns + count + count * count * surroundings))
    for m in range(count):
        rows = classes == m
        for j in range(count):
            start = number[m, j] * bins
            design[rows, start : start + bins] = sums[rows, j]
        design[rows, pair_columns + m] = 1
        if surroundings:
            start = pair_columns + count + m * count
            design[rows, start : start + count] = around[rows]
    difference = np.diff(np.eye(bins + 1), axis=0)[:, :bins]
    penalty = np.full(design.shape[1], 1e-3)
    penalty[pair_columns + count :] = 1.0
    curvature = np.diag(penalty)
    for pair in range(len(first)):
        own = slice(pair * bins, (pair + 1) * bins)
        curvature[own, own] += ridge * difference.T @ difference
    values = np.zeros(design.shape[1])
    for _ in range(30):
        chance = expit(design @ values + offset)
        slope = design.T @ (real - chance) - curvature @ values
        weighted = design * (chance * (1 - chance))[:, None]
        step = np.linalg.solve(design.T @ weighted + curvature, slope)
        values += step * min(1.0, 3.0 / max(1e-12, float(np.abs(step).max())))
        if np.abs(step).max() < 1e-5:
            break
    potential = np.zeros((count, count, bins + 1))
    potential[..., :bins] = values[:pair_columns].reshape(-1, bins)[number]
    return potential, values[pair_columns : pair_columns + count]
