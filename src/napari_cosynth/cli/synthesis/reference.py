"""Reference tiles: the real tiles that ``--against`` names, to compare samples with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_cosynth import registry
from napari_cosynth.cli.datasets.named import chosen_sets, named_dataset
from napari_cosynth.io.paths import named
from napari_cosynth.known import no_dataset
from napari_cosynth.records.base import crop, remap
from napari_cosynth.records.resample import resample
from napari_cosynth.training.config import Recipe, bundled_recipes, load_recipe
from napari_cosynth.training.records import open_split
from napari_cosynth.types import ClassTable, Record


@dataclass(frozen=True)
class Reference:
    """Real tiles on the stack's grid and in its classes."""

    unseen: list[Record]
    """Tiles that the model was not trained on."""
    training: list[Record]
    """Tiles that the model was trained on, as far as a recipe tells."""
    name: str


def check_reference(against: str, data_root: Path | None, sets: Sequence[str]) -> None:
    """Raises ValueError, before any work, where the data that ``--against`` names do not exist."""
    if named_dataset(against) is None:
        recipe, root = _recipe(against, data_root)
        for config in chosen_sets(recipe, sets):
            if not (root / config.root).exists():
                raise ValueError(f"--data: {root / config.root}: no such folder")


def _recipe(against: str, data_root: Path | None) -> tuple[Recipe, Path]:
    if against not in bundled_recipes() and not Path(against).is_file():
        raise ValueError(
            "--against: " + no_dataset(against, registry.names("dataset"), bundled_recipes())
        )
    if data_root is None:
        raise ValueError("--data: name the folder of the recipe's data sets, or set COSYNTH_DATA")
    return load_recipe(against), data_root


def open_reference(
    against: str, data_root: Path | None, sets: Sequence[str], classes: ClassTable, mpp: float
) -> Reference:
    """The reference that ``--against`` names, resampled to ``mpp`` and in ``classes``.

    It is a folder of our own (a stack, a generated data set), KIND:FOLDER, or a recipe with its held-out
    tiles. Raises ValueError where the recipe holds no tiles back.
    """

    def ready(records: Iterable[Record]) -> list[Record]:
        return [remap(resample(r, mpp), classes, {}) for r in records]

    if (dataset := named_dataset(against)) is not None:
        return Reference(ready(dataset), [], named(against.partition(":")[2] or against).name)
    recipe, root = _recipe(against, data_root)
    unseen: list[Record] = []
    training: list[Record] = []
    for config in chosen_sets(recipe, sets):
        seen, held, *_ = open_split(config, root, recipe, ClassTable.of(*recipe.classes))
        training += ready(seen)
        unseen += ready(held)
    if not unseen:
        raise ValueError(f"--against: {against}: the recipe holds no tiles back to compare with")
    return Reference(unseen, training, recipe.name)


def patches(tiles: Sequence[Record], shape: tuple[int, int]) -> list[Record]:
    """Patches of ``shape`` (H, W) that cover each tile, evenly spaced and as few as possible.

    They may overlap. A tile that is smaller in one direction has none. Raises ValueError where all tiles
    are smaller.
    """
    found = []
    for tile in tiles:
        rows, columns = (
            np.linspace(0, whole - part, -(-whole // part)).round().astype(int).tolist()
            if whole >= part
            else []
            for whole, part in zip(tile.labels.shape, shape, strict=True)
        )
        found += [crop(tile, y, x, *shape) for y in rows for x in columns]
    if tiles and not found:
        raise ValueError(
            f"{tiles[0].source}: its tiles are smaller than the stack's samples of "
            f"{shape[0]} x {shape[1]} pixels"
        )
    return found
