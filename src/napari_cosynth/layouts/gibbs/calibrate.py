"""The fit of a layout model, with pair potentials that are corrected by simulation.

The pseudo-likelihood knows the fields only through the nuclei around a place. So part of the attraction
that it finds is due to the fields. Layouts that are drawn with the fitted fields must have as many pairs
at each distance as the tiles: these are the likelihood equations of an exponential family. The potentials
are corrected until this holds, by the iteration of Soper (1996; Reith, Pütz and Müller-Plathe 2003:
iterative Boltzmann inversion).
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_cosynth.layouts.gibbs.fit_fields import (
    EDGES,
    NODES,
    SCALES,
    fit_responses,
    within_tile_correlation,
)
from napari_cosynth.layouts.gibbs.fit_interaction import (
    KNOTS,
    fit_hard_core,
    fit_potentials,
    pair_sums,
    without_fragments,
)
from napari_cosynth.layouts.gibbs.model import LayoutModel, Matrix, TissueModel
from napari_cosynth.layouts.gibbs.tiles import Tile
from napari_cosynth.types import ClassTable, Layout

Floats = npt.NDArray[np.float64]
logger = logging.getLogger(__name__)

GRID = 0.5
"""µm per pixel of the layouts that are drawn for comparison."""
LEAST = 20
"""Fewest nuclei of a tile that is used; fewer have too few pairs."""
MOST = 12
"""Most tiles of a tissue that are used in one round; the next round uses others."""
Target: TypeAlias = tuple[TissueModel, Tile, tuple[float, ...]]
"""A tissue, one of its tiles and that tile's level."""
LEAST_POTENTIAL = -6.0
MOST_POTENTIAL = (1.0, 1.0, 1.0, 0.8, 0.5, 0.2, 0.1, 0.05)
"""Bounds of potentials, the upper one by knot. With strong attraction from many distant neighbours nuclei
condense into a lump; density that extends over more than a few µm belongs to the fields."""


def total_pairs(tiles: Sequence[Tile], count: int) -> Floats:
    """Sums of the knots' hat functions over all pairs of nuclei of the tiles, symmetric (K, K, B - 1)."""
    total = np.zeros((count, count, len(KNOTS) - 1))
    for tile in tiles:
        sums = pair_sums(tile.points, tile.classes, tile, count, np.array(KNOTS), True)
        np.add.at(total, tile.classes, sums)
    return total


def nested(values: npt.NDArray[Any]) -> Any:
    """An array as nested tuples of numbers with five digits."""
    if values.ndim == 0:
        return float(f"{float(values):.5g}")
    return tuple(nested(v) for v in values)


def limited(potential: Floats) -> Floats:
    """Potentials at all knots but the last, clipped to bounds that keep nuclei from condensing."""
    return np.asarray(np.clip(potential, LEAST_POTENTIAL, MOST_POTENTIAL))


def _alone(model: LayoutModel, tissue: TissueModel, level: tuple[float, ...]) -> LayoutModel:
    """The model of one tissue only, with the level of one tile only."""
    return dataclasses.replace(model, tissues=(dataclasses.replace(tissue, levels=(level,)),))


def _some_of_each(targets: Sequence[Target], rng: np.random.Generator) -> list[Target]:
    """At most ``MOST`` tiles of each tissue, so that a round takes no longer for larger data sets."""
    order = rng.permutation(len(targets))
    left: dict[str, int] = {}
    chosen = []
    for number in order:
        name = targets[number][0].name
        left[name] = left.get(name, MOST) - 1
        if left[name] >= 0:
            chosen.append(targets[number])
    return chosen


def calibrate(
    model: LayoutModel,
    tiles: dict[str, list[Tile]],
    rounds: int,
    say: Callable[[str], None],
) -> LayoutModel:
    """The model with potentials that give as many pairs at each distance as the tiles of its tissues.

    ``tiles`` are those of each tissue, by its name; ``say`` receives a line on each round.
    """
    count = len(model.classes)
    used: list[Target] = []
    for tissue in model.tissues:
        for tile, level in zip(tiles[tissue.name], tissue.levels, strict=True):
            if len(tile.points) >= LEAST:
                used.append((tissue, tile, level))
    potentials = np.array(model.potentials)
    averaged = []
    for number in range(rounds):
        drawn = []
        chosen = _some_of_each(used, np.random.default_rng(number))
        for seed, (tissue, tile, level) in enumerate(chosen):
            shape = (round(tile.extent[0] / GRID), round(tile.extent[1] / GRID))
            alone = _alone(model, tissue, level)
            layout = alone.sample(shape, 1000 * number + seed, GRID, tissue.name)
            drawn.append(Tile.of(layout, 0))
        seen = total_pairs([tile for _, tile, _ in chosen], count)
        found = total_pairs(drawn, count)
        ratio = np.log((seen + 10) / (found + 10))
        off = float((np.abs(ratio) * seen).sum() / max(seen.sum(), 1))
        say(f"round {number + 1} of {rounds}: pairs are off by {100 * off:.0f} % on average")
        potentials[..., :-1] += 0.6 / np.sqrt(1 + number / 2) * ratio
        potentials[..., :-1] = limited(potentials[..., :-1])
        model = dataclasses.replace(model, potentials=nested(potentials))
        if number >= rounds // 2:
            averaged.append(potentials.copy())
    # The potentials scatter from round to round with the layouts drawn, so the later ones are averaged.
    potentials = np.mean(averaged, 0) if averaged else potentials
    return dataclasses.replace(model, potentials=nested(potentials))


def fit_layout_model(
    layouts: Sequence[tuple[str, Layout]],
    classes: ClassTable,
    about: dict[str, Any],
    rounds: int = 10,
    say: Callable[[str], None] = logger.info,
) -> LayoutModel:
    """Fits a model to annotated tiles.

    Args:
        layouts: the tissue and the nuclei of each tile, in ``classes``.
        about: origin of the model, stored in its file.
        rounds: number of corrections of the potentials; each draws up to 12 tiles a tissue.
        say: receives lines on progress.

    Raises:
        ValueError: there are no nuclei to fit to.
    """
    count = len(classes) - 1
    tiles: dict[str, list[Tile]] = {}
    for tissue, layout in layouts:
        tiles.setdefault(tissue, []).append(Tile.of(layout))
    everything = [tile for own in tiles.values() for tile in own]
    if sum(len(tile.points) for tile in everything) < 2 * LEAST:
        raise ValueError(f"expected at least {2 * LEAST} nuclei to fit to")
    core = fit_hard_core(everything, count)
    tiles = {name: [without_fragments(tile, core) for tile in own] for name, own in tiles.items()}
    everything = [tile for own in tiles.values() for tile in own]
    say(f"{len(everything)} tiles, {sum(len(t.points) for t in everything)} nuclei")
    tissues = tuple(
        _fit_tissue(name, own, classes)
        for name, own in sorted(
            tiles.items(), key=lambda item: -sum(len(tile.points) for tile in item[1])
        )
    )
    say("fields fitted")
    potential, _ = fit_potentials(everything, core)
    potential[..., :-1] = limited(potential[..., :-1])
    say("potentials fitted")
    model = LayoutModel(
        classes=classes.names[1:],
        colors=tuple((int(r), int(g), int(b)) for r, g, b in classes.colors[1:]),
        hard_core=nested(core.round(3)),
        knots=KNOTS,
        potentials=nested(potential),
        scales=SCALES,
        nodes=NODES,
        tissues=tissues,
        about=about,
    )
    return calibrate(model, tiles, rounds, say)


def _fit_tissue(name: str, tiles: Sequence[Tile], classes: ClassTable) -> TissueModel:
    """The model of one tissue: levels and responses of the classes that occur in its tiles."""
    present = np.flatnonzero(sum(tile.counts(len(classes) - 1) for tile in tiles))
    if not len(present):
        raise ValueError(f"{name or 'a tissue without a name'}: its tiles hold no nuclei")
    number = np.full(len(classes), -1)
    number[present] = np.arange(len(present))
    own = [Tile(tile.points, number[tile.classes], tile.extent) for tile in tiles]
    correlation, pairs = within_tile_correlation(own, len(present), EDGES)
    extent = np.stack([tile.extent for tile in own]).mean(0)
    responses = fit_responses(correlation, pairs, EDGES, extent, SCALES)
    levels: Matrix = tuple(
        tuple(round(1e6 * int(n) / tile.area, 1) for n in tile.counts(len(present))) for tile in own
    )
    names = tuple(classes.names[1 + i] for i in present)
    return TissueModel(name, names, levels, nested(responses))
