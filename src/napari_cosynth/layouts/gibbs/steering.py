"""A chain of nuclei brought to the numbers that are expected, and to those that are wanted exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from napari_cosynth.layouts.gibbs.sampler import GibbsSampler, Window

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

INSIDE, BEYOND = 1, 2
"""Parts of a window: where nuclei are wanted, and beyond the canvas' edge; 0 is what stays as it is."""
STEERED, FREE, COUNTED = 10, 4, 6
"""Sweeps while activities are steered, then without, then with counts held."""
ROUNDS = 4
"""Proposals of a kind in each cell and sweep."""


def expected(window: Window) -> Floats:
    """The nuclei that the activity alone gives each class in each part, (3, K)."""
    shape = window.log_activity.shape[1:]
    centres = (np.indices(shape).reshape(2, -1).T + 0.5) * window.spacing
    part = window.part_of(np.asarray(centres, np.float64))
    mass = np.exp(window.log_activity).reshape(len(window.log_activity), -1) * window.spacing**2
    return np.stack([mass[:, part == p].sum(1) for p in range(3)])


def _steer(chain: GibbsSampler, target: Floats) -> None:
    """Tilts the activities until about ``target`` nuclei (K,) of each class are there.

    Interactions make activities differ from intensities; a gain that falls (Robbins and Monro 1951)
    finds those whose mean is the target.
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
    """Runs a chain to the nuclei that are ``usual`` (3, K), with exactly ``wanted`` of some classes.

    Raises ValueError where so many do not fit.
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
    """Removes or adds nuclei of a class where they are wanted until there are ``count``."""
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
        chain.counted[number] = True  # the others make room
        chain.sweep(ROUNDS)
        chain.counted[number] = False
    raise ValueError(
        f"counts: {name}: {count} nuclei do not fit beside the others ({count - missing} did)"
    )


def _insert(chain: GibbsSampler, number: int, missing: int) -> None:
    """Adds up to ``missing`` nuclei of a class, each where it is likely given those before it."""
    places = chain.rng.uniform(0, 1, (max(1000, 20 * missing), 2)) * chain.window.extent
    places = places[chain.window.part_of(places) == INSIDE]
    tags = np.full(len(places), number)
    rate = chain.log_papangelou(places, tags)
    for row in np.argsort(-(rate + chain.rng.gumbel(size=len(places)))):
        if missing == 0 or rate[row] == -np.inf:
            return
        missing -= chain.add(places[row], number)
