"""Potentials corrected by simulation, and the whole fit of a layout model.

The pseudo-likelihood knows the fields only through the nuclei around a place, so what it calls
attraction is partly their doing. Drawn with the fitted fields, a model must show as many pairs at each
distance as the tiles; the potentials are corrected until it does, which is what the likelihood
equations of an exponential family ask for, by the iteration of Soper (1996; Reith, Pütz and
Müller-Plathe 2003: iterative Boltzmann inversion).
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
"""µm per pixel of what is drawn to compare."""
LEAST = 20
"""A tile with fewer nuclei tells nothing of pairs and is not drawn."""
MOST = 12
"""Tiles of a tissue drawn in one round, others in the next."""
Target: TypeAlias = tuple[TissueModel, Tile, tuple[float, ...]]
"""A tissue, one of its tiles and that tile's level."""
LEAST_POTENTIAL = -6.0
MOST_POTENTIAL = (1.0, 1.0, 1.0, 0.8, 0.5, 0.2, 0.1, 0.05)
"""Of potentials, by knot: many neighbours that attract from afar would let nuclei condense into a
lump, while what is dense over more than a few µm is the fields' part."""


def total_pairs(tiles: Sequence[Tile], count: int) -> Floats:
    """Sums of the knots' hat functions over all pairs of nuclei, symmetric (K, K, B - 1)."""
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
    """Potentials at all knots but the last, within bounds that keep patterns from condensing."""
    return np.asarray(np.clip(potential, LEAST_POTENTIAL, MOST_POTENTIAL))


def _alone(model: LayoutModel, tissue: TissueModel, level: tuple[float, ...]) -> LayoutModel:
    """The model of one tissue that is always as dense as one tile."""
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
    """A model whose potentials give as many pairs at each distance as the tiles of its tissues."""
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
    # The rounds scatter around the answer by what is drawn in each.
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
        about: what the file says of its origin.
        rounds: of simulation by which the potentials are corrected; each draws up to 12 tiles a tissue.
        say: told of progress.

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
    """Levels and responses of one tissue, for the classes that occur in its tiles."""
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
