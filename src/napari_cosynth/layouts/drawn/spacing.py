"""Least distances between nuclei: points that are too near each other, their removal, pushing them apart.

Neighbours are found by a k-d tree, so that 100,000 points are no problem.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Points: TypeAlias = npt.NDArray[np.float64]
"""float64 (N, 2), (y, x) in pixels."""
Mask: TypeAlias = npt.NDArray[np.bool_]
"""bool (N,)."""

PIECE = 256
"""Number of candidates in the first piece."""
ROUNDS = 200
"""Rounds of pushing; a crowd that found no room by then has none nearby."""
SIDEWAYS = 0.3
"""Largest part of a push that goes across the line of a pair."""
FURTHER = 1.02
"""Factor on the least distance that a pair is pushed to; a little more makes the pushing end sooner."""
SAME = 1e-6
"""Distance in pixels below which two points have no line to be pushed along."""


def too_near(points: npt.NDArray[np.floating], least: float) -> npt.NDArray[np.int64]:
    """Pairs (i, j), i < j, of points less than ``least`` pixels apart, int64 (P, 2), sorted."""
    places: Points = np.asarray(points, np.float64).reshape(-1, 2)
    if least <= 0 or len(places) < 2:
        return np.zeros((0, 2), np.int64)
    pairs = cKDTree(places).query_pairs(least, output_type="ndarray").astype(np.int64)
    apart = places[pairs[:, 0]] - places[pairs[:, 1]]
    pairs = pairs[(apart**2).sum(1) < least**2]  # the tree counts the distance itself as near
    return np.asarray(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))], np.int64)


def violators(points: npt.NDArray[np.floating], least: float) -> Mask:
    """True for points with another one nearer than ``least`` pixels."""
    found = np.zeros(len(points), bool)
    found[too_near(points, least).reshape(-1)] = True
    return found


def first_come(count: int, pairs: npt.NDArray[np.int64], rank: npt.NDArray[np.int64]) -> Mask:
    """True for items taken greedily in the order of ``rank``, where items of a pair exclude each other.

    ``pairs`` is (P, 2), ``count`` the number of items. The result is that of a loop over the items, in a
    few passes over the pairs: each pass takes the items that come before all their undecided neighbours.
    """
    taken, undecided = np.zeros(count, bool), np.ones(count, bool)
    while len(pairs):
        first = rank[pairs[:, 0]] < rank[pairs[:, 1]]
        later = np.where(first, pairs[:, 1], pairs[:, 0])
        earliest = undecided.copy()
        earliest[later] = False
        taken |= earliest
        undecided &= ~earliest
        beaten = earliest[pairs].any(1)
        undecided[pairs[beaten].reshape(-1)] = False
        pairs = pairs[undecided[pairs].all(1)]
    return taken | undecided


def clear_of(candidates: Points, taken: Points, least: float) -> Mask:
    """True for candidates (N, 2) at least ``least`` pixels from every point of ``taken`` (M, 2)."""
    if least <= 0 or not len(taken) or not len(candidates):
        return np.ones(len(candidates), bool)
    low, high = candidates.min(0) - least, candidates.max(0) + least
    near = taken[((taken >= low) & (taken <= high)).all(1)]
    if not len(near):
        return np.ones(len(candidates), bool)
    nearest, _ = cKDTree(near).query(candidates, distance_upper_bound=least)
    return np.asarray(~(nearest < least))


def admitted(candidates: Points, taken: Points, least: float, most: int | None = None) -> Mask:
    """True for candidates (N, 2) that, taken one by one, keep ``least`` pixels from all points before.

    These are ``taken`` (M, 2) and the candidates admitted earlier. At most ``most`` are admitted.
    """
    free = np.zeros(len(candidates), bool)
    most = len(candidates) if most is None else most
    # Pieces double in size. The first ones fill most of the room, so that few candidates of the later
    # ones are left to compare with each other, however many there are in a small place.
    begin, size, found = 0, PIECE, 0
    while begin < len(candidates) and found < most:
        piece = candidates[begin : begin + size]
        there = np.concatenate([taken, candidates[:begin][free[:begin]]])
        rows = np.flatnonzero(clear_of(piece, there, least))
        rows = rows[first_come(len(rows), too_near(piece[rows], least), np.arange(len(rows)))]
        free[begin + rows[: most - found]] = True
        begin, size, found = begin + len(piece), 2 * size, found + len(rows)
    return free


def thinned(points: npt.NDArray[np.floating], least: float, movable: Mask) -> Mask:
    """True for points (N,) that stay if ``movable`` ones are removed until none is too near another.

    Few are removed: of two that are too near, the one with fewer such neighbours stays. Points that are
    not movable all stay, and movable points that are too near to them go.
    """
    pairs = too_near(points, least)
    stays = ~np.asarray(movable, bool)
    doomed = np.zeros(len(stays), bool)
    fixed = stays[pairs]
    doomed[pairs[fixed[:, 0] & ~fixed[:, 1], 1]] = True
    doomed[pairs[fixed[:, 1] & ~fixed[:, 0], 0]] = True
    rest = pairs[~(fixed.any(1) | doomed[pairs].any(1))]
    crowd = np.bincount(rest.reshape(-1), minlength=len(stays))
    rank = np.empty(len(stays), np.int64)
    rank[np.argsort(crowd, kind="stable")] = np.arange(len(stays))
    return np.asarray((first_come(len(stays), rest, rank) & ~doomed) | stays)


def pushed_apart(
    points: npt.NDArray[np.floating],
    least: float,
    movable: Mask,
    shape: tuple[int, int],
    rounds: int = ROUNDS,
) -> Points:
    """The points (N, 2), with the ``movable`` ones (N,) pushed until none is too near another.

    In every round each pair that is too near is pushed along its line to just over ``least`` pixels. Each
    point takes half of the push; next to a fixed point the other takes all of it. No point leaves the
    canvas. A crowd without room keeps some pairs that are too near: :func:`too_near` counts them.
    """
    places: Points = np.array(points, np.float64).reshape(-1, 2)
    free = np.asarray(movable, bool)
    low, high = -0.5, np.nextafter(np.array(shape, np.float32) - np.float32(0.5), np.float32(0))
    inside = ((places >= low) & (places <= high)).all(1) & free
    rng = np.random.default_rng(0)
    for _ in range(rounds):
        pairs = too_near(places, least)
        pairs = pairs[free[pairs].any(1)]
        if not len(pairs):
            break
        apart = places[pairs[:, 0]] - places[pairs[:, 1]]
        distance = np.hypot(*apart.T)
        same = distance < SAME
        angle = rng.uniform(0, 2 * np.pi, same.sum())
        apart[same] = np.stack([np.sin(angle), np.cos(angle)], 1)
        unit = apart / np.where(same, 1.0, distance)[:, None]
        # A push slightly aside moves the pair farther apart still. Without it a point in the middle
        # between two others would be pushed to and fro.
        aside = SIDEWAYS * rng.uniform(-1, 1, len(pairs))[:, None] * unit[:, ::-1] * [-1, 1]
        push = (unit + aside) * (FURTHER * least - distance)[:, None]
        share = np.where(free[pairs].all(1), 0.5, 1.0)[:, None]
        both = np.concatenate(
            [push * share * free[pairs[:, :1]], -push * share * free[pairs[:, 1:]]]
        )
        rows = pairs.T.reshape(-1)
        for axis in (0, 1):
            places[:, axis] += np.bincount(rows, both[:, axis], len(places))
        places[inside] = places[inside].clip(low, high)
    return places
