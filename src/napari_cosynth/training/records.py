"""Splits of data sets into records on the recipe's grid, in its classes and colours."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from napari_cosynth import registry
from napari_cosynth.io.paths import named
from napari_cosynth.records.base import Dataset, Records, remap
from napari_cosynth.records.resample import resample
from napari_cosynth.stain.normalise import Normaliser
from napari_cosynth.training.config import DataConfig, Recipe
from napari_cosynth.types import ClassTable, Record


def open_dataset(
    config: DataConfig, data_root: Path, only: Sequence[str] = (), without: Sequence[str] = ()
) -> Dataset:
    """A recipe's data set as read from its files. Raises ValueError for an unknown option."""
    reader = registry.resolve("dataset", config.kind)
    options = dict(config.options)
    unclassified = options.pop("unclassified", None)
    chosen = {"only": tuple(only), "without": tuple(without)}
    try:
        dataset: Any = reader(named(data_root / config.root), **options, **chosen)
    except TypeError as error:
        raise ValueError(f"data {config.root!r}: options: {error}") from None
    if unclassified is not None:
        dataset.classify_rest(unclassified)
    made: Dataset = dataset
    return made


def validation_names(names: Sequence[str], share: float) -> tuple[str, ...]:
    """The names with the smallest hashes, in the given order: ``share`` of all, and at least one.

    The choice depends on the names alone, not on a seed or a run. A name that is added moves at most one
    other name between training and validation.
    """
    count = max(1, round(share * len(names)))
    ranked = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    chosen = set(ranked[:count])
    return tuple(name for name in names if name in chosen)


def split_dataset(config: DataConfig, data_root: Path) -> tuple[Dataset, Dataset | None]:
    """Training tiles and validation tiles; None for the latter where the recipe keeps none."""
    held = config.validation
    if config.validation_share:
        names = open_dataset(config, data_root, without=config.excluded).names
        held = validation_names(names, config.validation_share)
        if len(held) == len(names):
            raise ValueError(f"data {config.root!r}: validation_share: no tile is left to train on")
    training = open_dataset(config, data_root, without=(*held, *config.excluded))
    return training, open_dataset(config, data_root, only=held) if held else None


def open_normaliser(config: DataConfig, data_root: Path) -> Normaliser | None:
    """The normaliser of a data set, fitted to its reference tile; None where there is none."""
    if config.normaliser is None:
        return None
    kind = registry.resolve("normaliser", config.normaliser.kind)
    (reference,) = open_dataset(config, data_root, only=[config.normaliser.reference])
    normaliser: Normaliser = kind(reference.image)
    return normaliser


def prepare(
    record: Record,
    config: DataConfig,
    recipe: Recipe,
    classes: ClassTable,
    normaliser: Normaliser | None = None,
) -> Record:
    """The record in the reference tile's colours, on the recipe's grid and in its classes."""
    if normaliser is not None:
        record = dataclasses.replace(record, image=normaliser(record.image))
    return remap(resample(record, recipe.mpp), classes, config.classes)


class LazyRecords:
    """A data set whose records are read and prepared at each access."""

    def __init__(self, dataset: Records, prepare: Callable[[Record], Record]) -> None:
        self.dataset = dataset
        self.prepare = prepare

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Record:
        return self.prepare(self.dataset[index])

    def __iter__(self) -> Iterator[Record]:
        return (self[i] for i in range(len(self)))


def open_split(
    config: DataConfig, data_root: Path, recipe: Recipe, classes: ClassTable
) -> tuple[Records, Records, tuple[str, ...], tuple[str, ...]]:
    """Training records, validation records, and tissues and names of the training records.

    With ``config.in_memory`` all are read now, else each whenever it is drawn.
    """
    normaliser = open_normaliser(config, data_root)

    def ready(record: Record) -> Record:
        return prepare(record, config, recipe, classes, normaliser)

    def hold(dataset: Dataset | None) -> Records:
        lazy = LazyRecords(dataset if dataset is not None else [], ready)
        return list(lazy) if config.in_memory else lazy

    training, validation = split_dataset(config, data_root)
    return hold(training), hold(validation), training.tissues, training.names
