"""Steering of a chain of nuclei to the expected counts of its classes, and to exact counts of some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from napari_cosynth.layouts.gibbs.sampler import GibbsSampler, Window

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

INSIDE, BEYOND = 1, 2
"""Parts of a window: nuclei are wanted INSIDE; BEYOND lies outside the canvas; part 0 does not change."""
STEERED, FREE, COUNTED = 10, 4, 6
"""Sweeps in which activities are steered, then sweeps without steering, then sweeps with fixed counts."""
ROUNDS = 4
"""Proposals of each kind per cell and sweep."""


def expected(window: Window) -> Floats:
    """Expected nuclei of each class in each part, (3, K), by the activity without interactions."""
    shape = window.log_activity.shape[1:]
    centres = (np.indices(shape).reshape(2, -1).T + 0.5) * window.spacing
    part = window.part_of(np.asarray(centres, np.float64))
    mass = np.exp(window.log_activity).reshape(len(window.log_activity), -1) * window.spacing**2
    return np.stack([mass[:, part == p].sum(1) for p in range(3)])


def _steer(chain: GibbsSampler, target: Floats) -> None:
    """Tilts the activities until the chain has about ``target`` nuclei (K,) of each class.

    Interactions make intensities differ from activities. Steps that shrink (Robbins and Monro 1951) find
    the activities whose mean counts are the target.
    """
    for sweep in range(STEERED):
        chain.sweep(ROUNDS)
        found = np.bincount(chain.points()[1], minlength=len(target))
        step = np.clip(np.log((target + 1) / (found + 1)), -1, 1)
        chain.tilt = np.clip(chain.tilt + step * min(1.0, 4 / (sweep + 1)), -6, 6)
    for _ in range(FREE):
        chain.sweep(ROUNDS)


def run(
    chain: GibbsSampler, usual: Floats, wanted: Mapping[int, int], names: Sequence[str]
) -> None:
    """Runs a chain to about ``usual`` nuclei, (3, K) by part and class, and exactly ``wanted`` of some.

    ``wanted`` holds counts by class; ``names`` are the classes' names. Raises ValueError where the wanted
    nuclei do not fit.
    """
    target = usual[INSIDE] + usual[BEYOND]
    for number, count in wanted.items():
        target[number] *= count / max(usual[INSIDE, number], 1e-9)
    _steer(chain, np.minimum(target, 1e9))
    for number, count in wanted.items():
        _set_count(chain, number, count, names[number])
        chain.counted[number] = True
    if wanted:
        for _ in range(COUNTED):
            chain.sweep(ROUNDS)


def _inside(chain: GibbsSampler, number: int) -> Ints:
    points, classes = chain.points()
    return np.flatnonzero((chain.window.part_of(points) == INSIDE) & (classes == number))


def _set_count(chain: GibbsSampler, number: int, count: int, name: str, attempts: int = 60) -> None:
    """Removes or adds nuclei of a class in the part INSIDE until there are ``count``.

    Raises ValueError where they do not fit.
    """
    own = _inside(chain, number)
    if len(own) > count:
        points, classes = chain.points()
        gone = chain.rng.choice(own, len(own) - count, replace=False)
        chain.put(np.delete(points, gone, 0), np.delete(classes, gone))
        return
    for _ in range(attempts):
        missing = count - len(_inside(chain, number))
        if missing > 0:
            _insert(chain, number, missing)
        missing = count - len(_inside(chain, number))
        if not missing:
            return
        chain.counted[number] = True  # this class keeps its nuclei, and the others make room
        chain.sweep(ROUNDS)
        chain.counted[number] = False
    raise ValueError(
        f"counts: {name}: {count} nuclei do not fit beside the others ({count - missing} did)"
    )


def _insert(chain: GibbsSampler, number: int, missing: int) -> None:
    """Adds up to ``missing`` nuclei of a class at likely places, by their conditional intensity."""
    places = chain.rng.uniform(0, 1, (max(1000, 20 * missing), 2)) * chain.window.extent
    places = places[chain.window.part_of(places) == INSIDE]
    tags = np.full(len(places), number)
    rate = chain.log_papangelou(places, tags)
    for row in np.argsort(-(rate + chain.rng.gumbel(size=len(places)))):
        if missing == 0 or rate[row] == -np.inf:
            return
        missing -= chain.add(places[row], number)
