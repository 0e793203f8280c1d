"""The pool of layouts that a plan's sources give, on the checkpoint's grid and in its classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth import registry
from napari_cosynth.generate.plan import DatasetLayouts, FolderLayouts, ModelLayouts, Plan
from napari_cosynth.geometry.raster import pixels
from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.io.listing import files_in
from napari_cosynth.io.paths import named, resolved
from napari_cosynth.layouts.gibbs.model import layout_model_digest, load_layout_model
from napari_cosynth.layouts.sources.points_csv import read_layout
from napari_cosynth.records.base import NamedRecords, crop, remap
from napari_cosynth.records.resample import resample
from napari_cosynth.types import ClassTable, Layout, Record

PILOT = 8
"""Layouts drawn from a model for each organ, to estimate its numbers of nuclei of each class."""


@dataclass(frozen=True)
class Entry:
    """One layout of the pool."""

    layout: Layout
    tissue: str
    """Empty: any tissue."""
    origin: str
    """Its source in words, for the manifest."""
    source: int
    """Index of its source in the plan."""
    slide: str = ""
    """Slide or patient of its tile, for splits by slide; empty where the layout has none."""


@dataclass(frozen=True)
class Pilot:
    """Numbers of nuclei that a layout model places in one organ, from a few layouts."""

    source: int
    """Index of its source in the plan."""
    tissue: str
    sha256: str
    """SHA-256 of the model's file."""
    counts: npt.NDArray[np.int64]
    """int64 (PILOT, K): nuclei of each class in each of these layouts; a single row of zeros where the
    plan has no target."""


@dataclass(frozen=True)
class Pool:
    """Every layout and model that a plan draws from."""

    entries: tuple[Entry, ...]
    pilots: tuple[Pilot, ...]


def build_pool(plan: Plan, data_root: Path, classes: ClassTable, mpp: float) -> Pool:
    """The pool of all sources of a plan. Raises ValueError naming file and tile that do not fit."""
    entries: list[Entry] = []
    pilots: list[Pilot] = []
    for number, source in enumerate(plan.layouts):
        if isinstance(source, ModelLayouts):
            pilots += _pilots(plan, number, model_path(source, data_root), classes, mpp)
            continue
        if isinstance(source, DatasetLayouts):
            found = _of_dataset(plan, source, data_root, classes, mpp)
        else:
            found = _of_folder(plan, source, data_root, classes, mpp)
        for layout, tissue, origin, slide in found:
            try:
                pixels(layout)
            except ValueError as error:
                raise ValueError(f"{origin}: {error}") from None
            entries.append(Entry(layout, tissue, origin, number, slide))
    return Pool(tuple(entries), tuple(pilots))


def model_path(source: ModelLayouts, data_root: Path) -> str:
    """The absolute path of a source's model where it is a file, else the name of a bundled model."""
    path = data_root / source.path
    return str(resolved(path)) if path.exists() else source.path


def told(path: str) -> str:
    """What samples say of a path of the plan: a relative one as it is, of any other the last name.

    What lies above it is nobody's business who gets the samples.
    """
    return Path(path).name if Path(path).is_absolute() else path


def _pilots(plan: Plan, number: int, path: str, classes: ClassTable, mpp: float) -> Iterator[Pilot]:
    model = load_layout_model(path)
    digest = layout_model_digest(path)
    known = [tissue.name for tissue in model.tissues]
    for organ in plan.organs or known[:1]:
        if organ in known:
            count = PILOT if plan.balance is not None else 0
            drawn = (model.sample(plan.shape, i, mpp, organ) for i in range(count))
            rows = [class_counts(layout.in_classes(classes)) for layout in drawn]
            counts = np.stack(rows) if rows else np.zeros((1, len(classes)), np.int64)
            yield Pilot(number, organ, digest, counts)


def class_counts(layout: Layout) -> npt.NDArray[np.int64]:
    """Nuclei of each class, int64 (K,)."""
    return np.bincount(layout.class_ids, minlength=len(layout.classes)).astype(np.int64)


def _of_dataset(
    plan: Plan, source: DatasetLayouts, data_root: Path, classes: ClassTable, mpp: float
) -> Iterator[tuple[Layout, str, str, str]]:
    reader = registry.resolve("dataset", source.kind)
    try:
        dataset: NamedRecords = reader(
            named(data_root / source.root),
            **source.options,
            only=source.only,
            without=source.without,
        )
    except TypeError as error:
        raise ValueError(f"layouts: {source.root!r}: options: {error}") from None
    for name, read in zip(dataset.names, dataset, strict=True):
        tile = remap(resample(read, mpp), classes, source.classes)
        slide = dataset.slide_of(name) or f"{told(source.root)} {name}"
        for record, where in _cut(tile, plan, source):
            yield record.layout, record.tissue, f"{told(source.root)} {name}{where}", slide


def _cut(tile: Record, plan: Plan, source: DatasetLayouts) -> Iterator[tuple[Record, str]]:
    (height, width), (h, w) = tile.labels.shape, plan.shape
    if source.cut == "whole":
        if (height, width) != (h, w):
            raise ValueError(
                f"{tile.source}: {height} x {width} pixels at {tile.mpp:g} µm/px, and the plan's "
                f"shape is {h} x {w}: take crops, or that shape"
            )
        yield tile, ""
        return
    if height < h or width < w:
        raise ValueError(
            f"{tile.source}: {height} x {width} pixels at {tile.mpp:g} µm/px are smaller than the "
            f"plan's shape of {h} x {w}"
        )
    for y in corners(height, h, source.stride or h):
        for x in corners(width, w, source.stride or w):
            yield crop(tile, y, x, h, w), f" at ({y}, {x})"


def corners(whole: int, part: int, stride: int) -> list[int]:
    """Starts of evenly spaced crops of ``part`` pixels that cover ``whole``, at most ``stride`` apart."""
    if stride < 1:
        raise ValueError(f"stride: expected at least 1, got {stride}")
    starts = np.linspace(0, whole - part, -(-(whole - part) // stride) + 1)
    return [int(n) for n in starts.round()]


def _of_folder(
    plan: Plan, source: FolderLayouts, data_root: Path, classes: ClassTable, mpp: float
) -> Iterator[tuple[Layout, str, str, str]]:
    folder = data_root / source.root
    for path in files_in(folder, (".csv",)):
        yield (
            read_layout(path, plan.shape, mpp, classes),
            source.tissue,
            f"{told(source.root)} {path.name}",
            "",
        )


def save_pool(pool: Pool, path: Path) -> None:
    """Writes a pool next to its data set, so that a resumed run draws from the same layouts."""
    entries, pilots = pool.entries, pool.pilots
    no_points, no_ids = np.zeros((0, 2), np.float32), np.zeros(0, np.uint8)
    arrays: dict[str, Any] = {
        "lengths": np.array([len(e.layout) for e in entries], np.int64),
        "centroids": np.concatenate([no_points, *(e.layout.centroids for e in entries)]),
        "class_ids": np.concatenate([no_ids, *(e.layout.class_ids for e in entries)]),
        "tissues": np.array([e.tissue for e in entries], "U"),
        "origins": np.array([e.origin for e in entries], "U"),
        "sources": np.array([e.source for e in entries], np.int64),
        "slides": np.array([e.slide for e in entries], "U"),
        "pilot_sources": np.array([p.source for p in pilots], np.int64),
        "pilot_tissues": np.array([p.tissue for p in pilots], "U"),
        "pilot_digests": np.array([p.sha256 for p in pilots], "U"),
        "pilot_counts": np.array([p.counts for p in pilots], np.int64),
    }
    with replaced_file(path) as fresh, fresh.open("wb") as handle:
        np.savez_compressed(handle, **arrays)


def load_pool(path: Path, plan: Plan, classes: ClassTable, mpp: float) -> Pool:
    """The pool of an earlier run. Raises ValueError naming the file where it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            a = {name: stored[name] for name in stored.files}
        cuts = [0, *np.cumsum(a["lengths"])]
        entries = tuple(
            Entry(
                Layout(
                    a["centroids"][cuts[i] : cuts[i + 1]],
                    a["class_ids"][cuts[i] : cuts[i + 1]],
                    plan.shape,
                    mpp,
                    classes,
                ),
                str(a["tissues"][i]),
                str(a["origins"][i]),
                int(a["sources"][i]),
                str(a["slides"][i]) if "slides" in a else "",  # earlier versions stored none
            )
            for i in range(len(a["lengths"]))
        )
        pilots = tuple(
            Pilot(
                int(a["pilot_sources"][i]),
                str(a["pilot_tissues"][i]),
                str(a["pilot_digests"][i]),
                a["pilot_counts"][i],
            )
            for i in range(len(a["pilot_sources"]))
        )
    except Exception as error:  # on damaged files numpy and zipfile raise exceptions of any type
        raise ValueError(f"{path}: cannot be read as the run's layouts ({error})") from None
    return Pool(entries, pilots)
