"""Data sets as the command line names them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_cosynth import registry
from napari_cosynth.data.base import Dataset
from napari_cosynth.data.stack import StackDataset
from napari_cosynth.nearest import one_of
from napari_cosynth.paths import named
from napari_cosynth.stack_format import DESCRIPTION

if TYPE_CHECKING:  # they import torch, which only recipes are worth waiting for
    from napari_cosynth.training.config import DataConfig, Recipe


def named_dataset(name: str) -> Dataset | None:
    """The data set of a stack folder or of KIND:FOLDER; None for any other name."""
    kind, _, folder = name.partition(":")
    if (Path(name) / DESCRIPTION).is_file():
        return StackDataset(named(name))
    if folder and kind in registry.names("dataset"):
        found: Dataset = registry.resolve("dataset", kind)(named(folder))
        return found
    return None


def chosen_sets(recipe: Recipe, sets: Sequence[str]) -> list[DataConfig]:
    """A recipe's data sets whose folders ``--sets`` names; all where it names none.

    Raises ValueError on a name that the recipe does not have.
    """
    roots = [config.root.split("/")[0] for config in recipe.data]
    for name in sets:
        if name not in roots:
            raise ValueError(f"--sets: {one_of(name, roots)}")
    return [c for c, root in zip(recipe.data, roots, strict=True) if not sets or root in sets]
