"""``cosynth layout detect`` and ``convert``: layouts from nuclei."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_cosynth import registry
from napari_cosynth.io.atomic import replaced_file, replaced_folder
from napari_cosynth.io.errors import nearest
from napari_cosynth.io.paths import SOFTWARE, named
from napari_cosynth.layouts.sources.detect import detect_nuclei
from napari_cosynth.layouts.sources.nuclei import Nuclei, layout_on
from napari_cosynth.layouts.sources.points_csv import write_layout
from napari_cosynth.layouts.sources.read import read_nuclei
from napari_cosynth.model.checkpoint import read_config
from napari_cosynth.records.base import Dataset
from napari_cosynth.slides.pyramid import read_region
from napari_cosynth.slides.slide import open_image
from napari_cosynth.types import ClassTable, Layout, Record

KINDS = registry.names("dataset")
LARGEST_SIDE = 20_000
"""Largest side in pixels of a canvas that is searched for nuclei."""


def detect(options: argparse.Namespace) -> None:
    """Writes the nuclei of an image or of a slide's region as a CSV."""
    classes = read_config(options.checkpoint).classes
    class_id = classes.index(options.class_name)
    slide = open_image(options.image)
    levels = slide.levels
    mpp = _known_mpp(options.image, options.mpp, slide.mpp)
    grid = mpp if options.to_mpp is None else _positive(options.to_mpp, "--to-mpp")
    origin, step, shape = _canvas(options.region, levels[0].shape[:2], grid / mpp)
    if max(shape) > LARGEST_SIDE:
        raise ValueError(
            f"{options.image}: {shape[0]} x {shape[1]} pixels: expected at most {LARGEST_SIDE} a "
            "side: name a part of it by --region Y X H W, or a coarser grid by --to-mpp"
        )
    points = detect_nuclei(read_region(levels, origin, step, shape), grid)
    inside = ((points >= -0.5) & (points < np.array(shape) - 0.5)).all(1)
    ids = np.full(int(inside.sum()), class_id, np.uint8)
    _write(Layout(points[inside], ids, shape, grid, classes), options.out, ())


def convert(options: argparse.Namespace) -> None:
    """Writes the nuclei of a file as a CSV, or the layouts of a data set as a folder of CSVs."""
    classes = read_config(options.checkpoint).classes
    mapping = _mapping(options.map, classes)
    kind, _, folder = options.source.partition(":")
    if folder and kind in KINDS:
        given = (options.region, options.instances, options.format, options.mpp, options.sample)
        if any(value is not None for value in given):
            raise ValueError("--region, --instances, --format, --mpp and --sample are for files")
        dataset = registry.resolve("dataset", kind)(named(folder))
        _convert_dataset(dataset, classes, mapping, options)
        return
    if folder and not Path(options.source).exists() and (hint := nearest(kind, KINDS)):
        raise ValueError(f"{options.source}: no data sets of a kind {kind!r}{hint}")
    nuclei = read_nuclei(options.source, options.format, options.sample)
    mpp = _known_mpp(Path(options.source), options.mpp, nuclei.mpp)
    grid = mpp if options.to_mpp is None else _positive(options.to_mpp, "--to-mpp")
    origin, step, shape = _canvas(options.region, nuclei.extent, grid / mpp)
    if options.region is None:  # a pixel of a coarser grid that is covered only in part counts, too
        shape = tuple(max(1, math.ceil(n / step - 1e-6)) for n in nuclei.extent)  # type: ignore[assignment]
    layout, notes = layout_on(nuclei, classes, mapping, shape, grid, origin, step)
    if options.instances is not None:
        _write_instances(nuclei, options)
    _write(layout, options.out, (*notes, *nuclei.notes))


def _convert_dataset(
    dataset: Dataset, classes: ClassTable, mapping: dict[str, str], options: argparse.Namespace
) -> None:
    with replaced_folder(options.out, options.overwrite) as fresh:
        count = 0
        for name, record in zip(dataset.names, dataset, strict=True):
            layout = _in_classes(record, classes, mapping)
            if options.to_mpp is not None:
                layout = layout.scaled_to(_positive(options.to_mpp, "--to-mpp"))
            # Names of records may contain the folder of their file.
            write_layout(layout, fresh / f"{name.replace('/', '_')}.csv")
            count += len(layout)
    print(f"{options.out}: {len(dataset)} layouts, {count:,} points")


def _in_classes(record: Record, classes: ClassTable, mapping: dict[str, str]) -> Layout:
    """A record's layout in the checkpoint's classes, without classes that are mapped to no name."""
    layout = record.layout
    names = [mapping.get(name, name) for name in layout.classes.names]
    kept = np.array([names[c] != "" for c in layout.class_ids], bool)
    wanted = {c: names[c] for c in np.unique(layout.class_ids[kept]).tolist()}
    for index, name in wanted.items():
        if name not in classes.names:
            old = layout.classes.names[index]
            raise ValueError(f"{record.source}: class {old!r} is mapped to unknown {name!r}")
    ids = [classes.index(wanted[c]) for c in layout.class_ids[kept].tolist()]
    return Layout(
        layout.centroids[kept], np.array(ids, np.uint8), layout.shape, layout.mpp, classes
    )


def _write_instances(nuclei: Nuclei, options: argparse.Namespace) -> None:
    height, width = nuclei.extent
    if height * width > LARGEST_SIDE**2:
        raise ValueError(f"--instances: {height} x {width} pixels are too many for one image")
    import tifffile

    instances = nuclei.instances((height, width))
    with replaced_file(options.instances) as fresh:
        tifffile.imwrite(fresh, instances, compression="zlib", software=SOFTWARE)


def _known_mpp(path: Path, given: float | None, told: float | None) -> float:
    if given is not None:
        return _positive(given, "--mpp")
    if told is None:
        raise ValueError(f"{path}: its µm per pixel is not known: name it by --mpp")
    return told


def _positive(value: float, option: str) -> float:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{option}: expected a number above 0, got {value}")
    return value


def _canvas(
    region: Sequence[int] | None, extent: Sequence[int], step: float
) -> tuple[tuple[float, float], float, tuple[int, int]]:
    """The canvas of a region: centre of pixel (0, 0) and side of a pixel, in image pixels, and (H, W)."""
    y, x, height, width = region or (0, 0, extent[0], extent[1])
    if min(height, width) < 1:
        raise ValueError(f"--region: expected a height and a width above 0, got {height} {width}")
    shape = (max(1, round(height / step)), max(1, round(width / step)))
    return (y + (step - 1) / 2, x + (step - 1) / 2), step, shape


def _mapping(pairs: Sequence[str], classes: ClassTable) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        theirs, equals, ours = pair.partition("=")
        if not equals:
            raise ValueError(f"--map: expected THEIRS=OURS, got {pair!r}")
        if ours:
            classes.index(ours)
        mapping[theirs.strip()] = ours.strip()
    return mapping


def _write(layout: Layout, out: Path, notes: Sequence[str]) -> None:
    write_layout(layout, out)
    height, width = layout.shape
    size = f"{height} x {width} pixels at {layout.mpp:g} µm/px"
    print("; ".join([f"{out}: {len(layout):,} points on {size}", *notes]))
