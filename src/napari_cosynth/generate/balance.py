"""Class balance: weights that draw some layouts more often, or chances that change a nucleus' class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from napari_cosynth.types import ClassTable, Layout

Shares = npt.NDArray[np.float64]
"""float64 (K,), the background's 0 first."""

LEAST_VARIETY = 0.1
"""Smallest share of the effective number of layouts that :func:`tilted` leaves."""
_HALVINGS = 14
_TOLERANCE = 1e-5
_RIDGE = 1e-9
"""Keeps the tilt finite where no weights reach the target."""


def expected_shares(weights: npt.NDArray[np.float64], counts: npt.NDArray[np.float64]) -> Shares:
    """Expected shares of the classes among all nuclei of layouts drawn with ``weights`` (L,).

    ``counts`` (L, K) are the layouts' nuclei of each class. All zeros where there are no nuclei.
    """
    mean = weights @ counts
    return np.asarray(mean / mean.sum() if mean.sum() > 0 else mean)


def full_target(named: Mapping[str, float], base: Shares, classes: ClassTable) -> Shares:
    """The target shares of all classes; classes that are not named divide the rest as in ``base``.

    Raises ValueError where no layout has nuclei of another class for the rest.
    """
    target = np.zeros(len(classes))
    given = np.zeros(len(classes), bool)
    for name, share in named.items():
        target[classes.index(name)], given[classes.index(name)] = share, True
    rest, others = 1 - target.sum(), np.where(given, 0, base)
    if rest > 1e-9:
        if others.sum() == 0:
            raise ValueError(
                f"balance: target: the shares add up to {target.sum():g}, and no layout has nuclei of "
                "another class for the rest"
            )
        target += rest * others / others.sum()
    return target


def effective(weights: npt.NDArray[np.float64]) -> float:
    """Effective number of layouts, 1 / sum(weights²): as many layouts, drawn equally, are as varied."""
    return float(1 / (weights**2).sum())


def tilted(
    base: npt.NDArray[np.float64],
    counts: npt.NDArray[np.float64],
    target: Shares,
    groups: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """The weights (L,) nearest to ``base`` whose expected shares are ``target``.

    Nearest is meant in Kullback-Leibler divergence. ``groups`` (L,) are the layouts' organs; the total
    weight of each stays. Some targets cannot be reached, or only by drawing a few layouts again and
    again. Then the expected shares move from the present ones straight towards the target, as far as
    ``LEAST_VARIETY`` allows.
    """
    now, least = expected_shares(base, counts), LEAST_VARIETY * effective(base)
    reached, low, high = base, 0.0, 1.0
    aim = high
    for _ in range(_HALVINGS):
        wanted = now + aim * (target - now)
        weights = _nearest(base, counts, wanted, groups)
        near = np.abs(expected_shares(weights, counts) - wanted).max() < _TOLERANCE
        if near and effective(weights) >= least:
            reached, low = weights, aim
        else:
            high = aim
        if low == 1:
            break
        aim = (low + high) / 2
    return reached


def _nearest(
    base: npt.NDArray[np.float64],
    counts: npt.NDArray[np.float64],
    target: Shares,
    groups: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Weights ``base * exp(G @ x)``, normalised (Csiszar 1975, I-projection on a linear family).

    A row of G is a layout's counts less the counts that its nuclei would have at the target. x minimises
    the convex dual.
    """
    surplus = (counts - counts.sum(1, keepdims=True) * target)[:, 1:]
    surplus = surplus / max(1e-12, float(base @ counts.sum(1)))
    inside = np.equal.outer(groups, np.unique(groups)).astype(np.float64)
    moments = np.concatenate([surplus, inside - base @ inside], 1)

    def dual(x: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        exponent = moments @ x
        top = exponent.max()
        unscaled = base * np.exp(exponent - top)
        total = unscaled.sum()
        value = top + np.log(total) + _RIDGE / 2 * (x @ x)
        return value, moments.T @ (unscaled / total) + _RIDGE * x

    found = minimize(
        dual,
        np.zeros(moments.shape[1]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-9},
    )
    exponent = moments @ found.x
    weights = base * np.exp(exponent - exponent.max())
    return np.asarray(weights / weights.sum())


def relabelling(base: Shares, target: Shares) -> npt.NDArray[np.float64]:
    """Chances (K, K) that a nucleus of class k (row) becomes one of class m, with the fewest changes.

    Class k keeps the share ``min(1, target_k / base_k)`` of its nuclei. The others go to classes below
    their target, in proportion to what these lack. Nuclei with the shares ``base`` then have the expected
    shares ``target``.
    """
    excess, lack = np.maximum(base - target, 0), np.maximum(target - base, 0)
    chances = np.eye(len(base))
    if lack.sum() > 0:
        for k in np.flatnonzero(excess > 0):
            leaves = excess[k] / base[k]
            chances[k, k] -= leaves
            chances[k] += leaves * lack / lack.sum()
    return chances


def relabelled(
    layout: Layout, chances: npt.NDArray[np.float64], rng: np.random.Generator
) -> Layout:
    """The layout with the class of each point drawn from its row of ``chances`` (K, K)."""
    if not len(layout):
        return layout
    steps = np.cumsum(chances[layout.class_ids], 1)
    drawn = (rng.random(len(layout))[:, None] >= steps / steps[:, -1:]).sum(1)
    return replace(layout, class_ids=drawn.astype(np.uint8))


def divided(total: int, target: Shares, offset: float) -> npt.NDArray[np.int64]:
    """Numbers of nuclei (K,) that add up to ``total``, each within one of ``total * target``.

    This is systematic sampling: over a uniform ``offset`` in [0, 1) the expectation is exact.
    """
    edges = np.floor(total * np.concatenate([[0], np.cumsum(target)]) + offset + 1e-9)
    edges[-1] = np.floor(total + offset + 1e-9)
    return np.diff(edges).astype(np.int64)
