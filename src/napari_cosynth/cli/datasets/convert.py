"""``cosynth convert`` and ``split``: from any format to any other, a record at a time."""

from __future__ import annotations

import csv
import dataclasses
import inspect
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from napari_cosynth import registry
from napari_cosynth.checks.splits import groups_of, read_groups, split_by_group
from napari_cosynth.datasets.formats import open_records
from napari_cosynth.datasets.published.lizard import LIZARD_CLASSES
from napari_cosynth.datasets.published.pannuke import PANNUKE_CLASSES
from napari_cosynth.datasets.recipes import read_samples
from napari_cosynth.export.base import Described
from napari_cosynth.geometry.raster import pixels
from napari_cosynth.io.atomic import replaced_folder
from napari_cosynth.records.base import NamedRecords, crop, remap
from napari_cosynth.records.resample import resample
from napari_cosynth.types import ClassTable, Layout, Record

logger = logging.getLogger(__name__)

SMALL = "tiles smaller than --patch {}: left out"
PUBLISHED = {"conic": LIZARD_CLASSES, "pannuke": PANNUKE_CLASSES}
"""Classes of formats whose other readers expect fixed class numbers."""


@dataclass(frozen=True)
class Changes:
    """Changes that a conversion makes to the records."""

    mpp: float | None = None
    """µm/px to resample to."""
    classes: Mapping[str, str] = field(default_factory=dict)
    """New name by class name; several classes may become one."""
    patch: int | None = None
    """Side in pixels of square patches that tiles are cut into, without overlap."""

    @property
    def none(self) -> bool:
        return self.mpp is None and not self.classes and self.patch is None


def convert(
    source: Path,
    target: Path,
    to: str,
    kind: str | None,
    changes: Changes,
    overwrite: bool = False,
    compression: str | None = None,
    **options: Any,
) -> None:
    """Writes every record of a data set in another format; memory holds one record at a time."""
    exporter = _exporter(to, compression)
    found, dataset = open_records(source, kind, **options)
    _say_what_is_assumed(source, dataset)
    classes = target_classes(dataset.classes, to, changes.classes)
    with tqdm(total=len(dataset), unit="record", desc=f"{found} -> {to}", disable=None) as bar:
        items = _some(_items(dataset, classes, changes, bar.update), source, changes.patch)
        exporter(items, target, overwrite)
    print(f"{target}: {len(dataset)} records of {source} ({found}) as {to}")
    _say_notes(dataset)


def split(
    source: Path,
    out: Path,
    shares: Mapping[str, float],
    seed: int,
    kind: str | None,
    groups: Path | None,
    column: str,
    to: str | None,
    overwrite: bool = False,
    **options: Any,
) -> None:
    """Writes ``OUT/split.csv`` (name, group, part) and, with ``to``, an export per part."""
    found, dataset = open_records(source, kind, **options)
    named = read_groups(groups, column, dataset.names) if groups else groups_of(dataset)
    parts = split_by_group(named, shares, seed)
    with replaced_folder(out, overwrite) as folder:
        with (folder / "split.csv").open("w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle)
            writer.writerow(["name", "group", "part"])
            for part, names in parts.items():
                writer.writerows([name, named[name], part] for name in names)
        for part, names in parts.items() if to else ():
            exporter = _exporter(to or "", None)
            _, chosen = open_records(source, found, only=names, **options)
            _say_what_is_assumed(source, chosen)
            classes = target_classes(dataset.classes, to or "", {})
            with tqdm(total=len(chosen), unit="record", desc=part, disable=None) as bar:
                exporter(_items(chosen, classes, Changes(), bar.update, named), folder / part)
            _say_notes(chosen)
    for part, names in parts.items():
        slides = len({named[name] for name in names})
        print(f"{out}: {part}: {len(names)} records of {slides} slides or patients")


def target_classes(classes: ClassTable, to: str, mapping: Mapping[str, str]) -> ClassTable:
    """The class table to write: a published format's own where the mapped classes fit in it.

    Raises ValueError where ``mapping`` names a class that the source does not have.
    """
    for name in mapping:
        if name not in classes.names[1:]:
            known = ", ".join(classes.names[1:])
            raise ValueError(f"--classes: {name!r} is no class of the source; its are {known}")
    names = list(dict.fromkeys(mapping.get(name, name) for name in classes.names[1:]))
    published = PUBLISHED.get(to)
    if published and set(names) <= set(published):
        return classes if tuple(names) == published else ClassTable.of(*published)
    if published:
        logger.warning(
            "%s has the classes %s; these are %s, which cosynth.json names and other readers will "
            "not know (--classes maps them)",
            to,
            ", ".join(published),
            ", ".join(names),
        )
    return ClassTable.of(*names) if mapping else classes


def _exporter(to: str, compression: str | None) -> Any:
    exporter = registry.resolve("exporter", to)
    if compression is None:
        return exporter
    if "compression" not in inspect.signature(exporter).parameters:
        raise ValueError(f"--compression: the format {to} takes none")

    def compressed(items: Iterator[Described], path: Path, overwrite: bool = False) -> Path:
        written: Path = exporter(items, path, overwrite, compression=compression)
        return written

    return compressed


def _say_what_is_assumed(source: Path, dataset: NamedRecords) -> None:
    if not dataset.mpp_stated:
        logger.warning("%s: its files state no µm/px; --source-mpp does", source)


def _say_notes(dataset: NamedRecords) -> None:
    for note in dataset.notes:
        logger.warning("%s", note)


def _items(
    dataset: NamedRecords,
    classes: ClassTable,
    changes: Changes,
    progress: Any,
    groups: Mapping[str, str] | None = None,
) -> Iterator[Described]:
    layouts = _own_layouts(dataset) if changes.none else iter(())
    for name in dataset.names:
        record = dataset.read(name)
        layout = next(layouts, None)
        description = _description(dataset, name, record, groups)
        if classes != dataset.classes or changes.classes:
            record = remap(record, classes, changes.classes)
        elif layout is not None:
            record = follow(record, layout)
        if changes.mpp is not None:
            record = resample(record, changes.mpp)
        if description.get("synthetic") and not (changes.none and classes == dataset.classes):
            description["edited"] = True  # the recipe no longer reproduces the stored sample
        own = dataset.own_of(name)
        plain = own[0].titles[own[1]] if own else name
        progress()
        if changes.patch is None:
            yield Described(record, description, "" if plain.isdecimal() else plain)
            continue
        if min(record.labels.shape) < changes.patch:
            dataset.note(name, SMALL.format(changes.patch), 1)
        for number, piece in enumerate(patches(record, changes.patch)):
            yield Described(piece, description, f"{plain}_{number:03d}")


def _some(items: Iterator[Described], source: Path, side: int | None) -> Iterator[Described]:
    """The items. Raises ValueError where there are none since all tiles are smaller than a patch."""
    empty = True
    for item in items:
        empty = False
        yield item
    if empty and side is not None:
        raise ValueError(f"{source}: every tile is smaller than --patch {side}: nothing to save")


def patches(record: Record, side: int) -> Iterator[Record]:
    """Squares of a record, side by side; the rest at the right and the bottom is left out."""
    height, width = record.labels.shape
    for y in range(0, height - side + 1, side):
        for x in range(0, width - side + 1, side):
            yield crop(record, y, x, side, side)


def _description(
    dataset: NamedRecords, name: str, record: Record, groups: Mapping[str, str] | None
) -> dict[str, Any]:
    """The description stored in an export of ours, or a new one with the record's source."""
    if own := dataset.own_of(name):
        return dict(own[0].samples[own[1]])
    found: dict[str, Any] = {
        "synthetic": False,
        "tissue": record.tissue,
        "stain": record.stain,
        "source": Path(record.source).name,
    }
    slide = groups.get(name) if groups else dataset.slide_of(name)
    return {**found, "slide": slide} if slide else found


def _own_layouts(dataset: NamedRecords) -> Iterator[Layout | None]:
    """The layout that each record of our own export was made from; None for records added since.

    Yields nothing for stacks, whose records come with their layouts.
    """
    own = dataset.own
    if own is None or own.exporter == "stack":
        return
    wanted = iter([own.index.get(name) for name in dataset.names])
    samples = enumerate(read_samples(own.folder))
    at, layout = -1, None
    for index in wanted:
        if index is None or index < at:
            yield None
            continue
        while at < index:
            at, (layout, _) = next(samples)
        yield layout


def follow(record: Record, layout: Layout) -> Record:
    """The record with the layout it was made from, and its instances renumbered by their points.

    Formats that store no points number instances anew. An instance without a point gets an id above N, as
    in a fresh sample.
    """
    at = pixels(layout)
    table = np.zeros(int(record.instances.max(initial=0)) + 1, np.int32)
    for row, index in enumerate(record.instances[at[:, 0], at[:, 1]]):
        if index and not table[index]:
            table[index] = row + 1
    rest = np.flatnonzero(table[1:] == 0) + 1
    table[rest] = len(layout) + 1 + np.arange(len(rest))
    return dataclasses.replace(record, instances=table[record.instances], layout=layout)
