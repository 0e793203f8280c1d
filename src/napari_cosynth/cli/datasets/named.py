"""Data sets by the names that the command line takes: a folder or KIND:FOLDER."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_cosynth import registry
from napari_cosynth.datasets.formats import open_records
from napari_cosynth.datasets.shards import ShardsDataset
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.evaluation.metrics.fragments import counted
from napari_cosynth.evaluation.reports.checks import check_sample
from napari_cosynth.io.errors import one_of
from napari_cosynth.io.stack_format import DESCRIPTION
from napari_cosynth.records.base import Dataset, NamedRecords
from napari_cosynth.types import Record

if TYPE_CHECKING:  # these import torch, which takes seconds and is needed for recipes only
    from napari_cosynth.training.config import DataConfig, Recipe


def named_dataset(name: str) -> Dataset | None:
    """The data set of one of our own folders (a stack, shards, an export) or of KIND:FOLDER.

    None for any other name.
    """
    kind, _, folder = name.partition(":")
    if _is_ours(Path(name)):
        return open_records(Path(name))[1]
    if folder and kind in registry.names("dataset"):
        return open_records(Path(folder), kind)[1]
    return None


def _is_ours(path: Path) -> bool:
    """Whether a folder is an export of ours, which states its own format."""
    return (path / DESCRIPTION).is_file() or ShardsDataset.recognises(path)


def open_samples(path: Path) -> StackDataset | ShardsDataset:
    """The synthetic samples of a stack or of a generated data set's shards.

    Only these keep the requested layout next to the result. Raises ValueError for any other folder.
    """
    if not path.is_dir():
        raise ValueError(f"{path}: no such folder")
    kind, dataset = open_records(path) if _is_ours(path) else ("", None)
    if not isinstance(dataset, StackDataset | ShardsDataset):
        is_it = f", got the format {kind}" if kind else ""
        raise ValueError(
            f"{path}: expected the folder of a stack or of a generated data set{is_it}"
        )
    return dataset


def read_samples(dataset: NamedRecords, path: Path) -> list[Record]:
    """All samples, checked, with their nuclei counted like real ones.

    Raises ValueError where there are none, or where one is damaged or has another shape.
    """
    records = []
    for record in dataset:
        check_sample(record)
        records.append(counted(record))
    if not records:
        raise ValueError(f"{path}: no samples in it")
    shape = records[0].labels.shape
    for record in records:
        if record.labels.shape != shape:
            raise ValueError(
                f"{record.source}: expected {shape[0]} x {shape[1]} pixels as the first sample, got "
                f"{record.labels.shape[0]} x {record.labels.shape[1]}"
            )
    return records


def chosen_sets(recipe: Recipe, sets: Sequence[str]) -> list[DataConfig]:
    """The data sets of a recipe whose folders ``--sets`` names; all where it names none.

    Raises ValueError for a name that the recipe does not have.
    """
    roots = [config.root.split("/")[0] for config in recipe.data]
    for name in sets:
        if name not in roots:
            raise ValueError(f"--sets: {one_of(name, roots)}")
    return [c for c, root in zip(recipe.data, roots, strict=True) if not sets or root in sets]
