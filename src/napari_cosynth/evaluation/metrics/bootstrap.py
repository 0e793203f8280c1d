"""Intervals: the spread of a figure over other draws of tiles.

Whole groups are drawn, which are tiles or layouts. Patches of one tile are alike, so drawing patches one
by one would give too narrow an interval.

Counts that add up and means are bootstrapped. Distances between two sets cannot be, because a set drawn
with replacement contains duplicates and lies farther from any other. They are computed again on random
halves of the groups, drawn without replacement. The spread of the halves' distances about their mean is
that of the whole set's distance (the delete-half jackknife, Shao and Wu 1989).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
T = TypeVar("T")

DRAWS = 200
HALVES = 60
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure and its values on other draws."""

    value: float
    """NaN if undefined."""
    draws: Floats
    """Values on D draws, (D,); NaN for a draw on which the figure is undefined."""

    @property
    def interval(self) -> tuple[float, float]:
        """The middle 95 % of the draws; NaN, NaN if fewer than half of them are defined."""
        return interval(self.draws)


def interval(draws: Floats) -> tuple[float, float]:
    """The middle 95 % of draws (D,); NaN, NaN if fewer than half of them are defined."""
    defined = draws[~np.isnan(draws)]
    if not defined.size or 2 * defined.size < draws.size:
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _members(groups: Sequence[str]) -> tuple[npt.NDArray[np.int64], int]:
    """The number of each item's group, and the number of groups.

    Groups are numbered by the order of their names, so that sets with equal names draw alike.
    """
    names, numbers = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    return numbers.astype(np.int64), len(names)


def bootstrap_weights(groups: Sequence[str], seed: int = 0, draws: int = DRAWS) -> Floats:
    """How often each item is drawn, float64 (draws + 1, N); the first row is the set itself.

    ``groups`` names each item's group. A set of one group has no intervals: its draws are NaN.
    """
    numbers, count = _members(groups)
    times = np.full((draws, count), np.nan)
    if count > 1:
        rng = np.random.default_rng(seed)
        times[:] = rng.multinomial(count, np.full(count, 1 / count), draws)
    return np.concatenate([np.ones((1, len(numbers))), times[:, numbers]])


def half_samples(
    groups: Sequence[str], seed: int = 0, draws: int = HALVES
) -> list[npt.NDArray[np.int64]]:
    """Rows of the items in random halves of the groups, a list of (n,); empty below two groups."""
    numbers, count = _members(groups)
    if count < 2:
        return []
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(count)[: count // 2] for _ in range(draws)]
    return [np.flatnonzero(np.isin(numbers, half)) for half in chosen]


def weighted_sum(items: Sequence[T], weights: Floats) -> T:
    """Counts summed by draw: a dataclass of arrays (...,) for each item -> one of arrays (draws, ...)."""
    first: Any = items[0]
    drawn = {
        f.name: np.tensordot(weights, np.stack([getattr(i, f.name) for i in items]), 1)
        for f in dataclasses.fields(first)
    }
    return dataclasses.replace(first, **drawn)  # type: ignore[no-any-return]


def estimates(values: Floats) -> Estimate:
    """An estimate from values (draws + 1,), the first of which is the set's own figure."""
    return Estimate(float(values[0]), np.asarray(values[1:], np.float64))


def weighted_mean(values: npt.ArrayLike, weights: Floats) -> Estimate:
    """The mean of values (N,) under weights (draws + 1, N); NaN values do not count."""
    array = np.asarray(values, np.float64)
    defined = ~np.isnan(array)
    total = weights[:, defined].sum(1)
    sums = weights[:, defined] @ array[defined]
    return estimates(np.divide(sums, total, out=np.full(len(sums), np.nan), where=total > 0))


Distance = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], float]
"""Distance of two sets, given the chosen rows of each."""


def over_halves(
    distance: Distance,
    groups: tuple[Sequence[str], Sequence[str]],
    seed: int = 0,
    draws: int = HALVES,
) -> Floats:
    """The distances of halves of two sets, (draws,); all NaN if a set has no halves or a value is NaN."""
    halves = [half_samples(g, seed + i, draws) for i, g in enumerate(groups)]
    values = np.array([distance(a, b) for a, b in zip(*halves, strict=False)], np.float64)
    return np.full(draws, np.nan) if not values.size or np.isnan(values).any() else values


def spread_of(whole: float, halves: Floats, least: float = 0.0) -> Estimate:
    """A distance of two whole sets with its spread over :func:`over_halves`.

    ``least`` is the least value that the distance can have; no interval reaches below it.
    """
    return Estimate(whole, np.maximum(whole + halves - halves.mean(), least))


def between(
    distance: Distance,
    groups: tuple[Sequence[str], Sequence[str]],
    seed: int = 0,
    draws: int = HALVES,
    least: float = 0.0,
) -> Estimate:
    """A distance of two sets and its spread over halves of both."""
    whole = distance(np.arange(len(groups[0])), np.arange(len(groups[1])))
    return spread_of(whole, over_halves(distance, groups, seed, draws), least)
