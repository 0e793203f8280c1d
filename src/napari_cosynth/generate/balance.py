"""Shares of the classes: which layouts to draw how often, or which nuclei to give another class."""

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
_HALVINGS = 14
_TOLERANCE = 1e-5
_RIDGE = 1e-9
"""Keeps the tilt finite where no weights reach the target."""


def expected_shares(weights: npt.NDArray[np.float64], counts: npt.NDArray[np.float64]) -> Shares:
    """Shares of the classes among all nuclei of layouts drawn with ``weights`` (L,).

    ``counts``: (L, K) nuclei of each class. Zeros where there are no nuclei at all.
    """
    mean = weights @ counts
    return np.asarray(mean / mean.sum() if mean.sum() > 0 else mean)


def full_target(named: Mapping[str, float], base: Shares, classes: ClassTable) -> Shares:
    """The target with the classes it does not name, which divide the rest as in ``base``."""
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
    """1 / sum of the squared weights: how many layouts, drawn equally, would be as varied."""
    return float(1 / (weights**2).sum())


def tilted(
    base: npt.NDArray[np.float64],
    counts: npt.NDArray[np.float64],
    target: Shares,
    groups: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """The weights nearest to ``base`` (L,) whose expected shares are ``target``.

    Nearest in Kullback-Leibler divergence. The weight of each group (L,), an organ, stays as it is.
    Where no weights reach the target, or only by drawing a few layouts again and again, the
    weights go from the present shares straight towards it, as far as leaves ``LEAST_VARIETY`` of the
    effective number of layouts.
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
    """``base * exp(G @ x)``: a row of G holds a layout's counts less what its nuclei would be at the
    target, and x minimises the convex dual (Csiszar 1975, I-projection on a linear family)."""
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
    """(K, K): the chance that a nucleus of class k becomes one of class m, fewest changes in all.

    Row k keeps ``min(1, target_k / base_k)`` and gives the rest to the classes that are short, each
    by what it lacks; nuclei of shares ``base`` then have the expected shares ``target``.
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
    """``total`` nuclei over the classes (K,): within one of ``total * target``.

    Systematic sampling: over a uniform ``offset`` in [0, 1) the expectation is exact.
    """
    edges = np.floor(total * np.concatenate([[0], np.cumsum(target)]) + offset + 1e-9)
    edges[-1] = np.floor(total + offset + 1e-9)
    return np.diff(edges).astype(np.int64)
