"""File > Open: training stacks, slides, and layouts as CSV -> layer tuples for napari."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import napari
import numpy as np
import pandas as pd

from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.io.stack_format import DESCRIPTION
from napari_cosynth.io.text import encoding_of
from napari_cosynth.layouts.sources.class_names import own_table
from napari_cosynth.slides.ome_zarr_slide import is_ome_zarr
from napari_cosynth.widget.layers.layout import points_kwargs
from napari_cosynth.widget.layers.nuclei_layers import nuclei_layers
from napari_cosynth.widget.layers.record_layers import record_layers
from napari_cosynth.widget.layers.results import (
    free_name,
)
from napari_cosynth.widget.layers.slide_layers import LayerTuple, slide_layers, zarr_layers

Reader: TypeAlias = Callable[[str | Sequence[str]], list[LayerTuple]]


def stack_reader(path: str | Sequence[str]) -> Reader | None:
    """A reader for a stack folder or its ``cosynth.json``; None for anything else."""
    return _read_stack if (_stack_folder(path) / DESCRIPTION).is_file() else None


def slide_reader(path: str | Sequence[str]) -> Reader:
    """A reader for slides in files: SVS, NDPI, SCN, MIRAX, TIFF."""
    return _read_slide


def zarr_reader(path: str | Sequence[str]) -> Reader | None:
    """A reader for OME-Zarr folders; None for any other folder."""
    return _read_zarr if is_ome_zarr(_one(path)) else None


def nuclei_reader(path: str | Sequence[str]) -> Reader | None:
    """A reader for nuclei of other programs (GeoJSON, HoVer-Net, CellViT); None for our own JSON."""
    return None if _one(path).name == DESCRIPTION else _read_nuclei


def points_reader(path: str | Sequence[str]) -> Reader | None:
    """A reader for napari's Points CSV with a ``class`` column; None for any other CSV."""
    try:
        header = pd.read_csv(_one(path), nrows=0).columns
    except (OSError, ValueError):
        return None
    return _read_points if {"axis-0", "axis-1", "class"} <= set(header) else None


def _one(path: str | Sequence[str]) -> Path:
    return Path(path if isinstance(path, str) else path[0])


def _stack_folder(path: str | Sequence[str]) -> Path:
    first = _one(path)
    return first.parent if first.name == DESCRIPTION else first


def _read_stack(path: str | Sequence[str]) -> list[LayerTuple]:
    return stack_layers(_stack_folder(path))


def stack_layers(folder: Path) -> list[LayerTuple]:
    """The layers of a training stack, bottom first: image, distance, labels, instances, layout.

    N samples become arrays with a leading sample axis, (N, H, W[, 3]), and points (sample, y, x);
    a single sample has no such axis, so that it can be edited like a fresh result. They are named
    after the folder, with a number where the current viewer has a result of that name.
    """
    stack = StackDataset(folder)
    records = tuple(stack)
    viewer = napari.current_viewer()
    group = folder.name if viewer is None else free_name(viewer, folder.name)
    return record_layers(records, stack.samples, group)


def _read_slide(path: str | Sequence[str]) -> list[LayerTuple]:
    return slide_layers(_one(path))


def _read_zarr(path: str | Sequence[str]) -> list[LayerTuple]:
    return zarr_layers(_one(path))


def _read_nuclei(path: str | Sequence[str]) -> list[LayerTuple]:
    return nuclei_layers(_one(path))


def _read_points(path: str | Sequence[str]) -> list[LayerTuple]:
    """Points coloured by their class, in pixels: a CSV names neither µm/px nor a canvas.

    Classes are the bundled model's where they name no other, else those of the file. Raises
    ValueError naming file and line where a number or a class is missing.
    """
    file = _one(path)
    points, names = [], []
    with file.open(newline="", encoding=encoding_of(file)) as handle:
        reader = csv.DictReader(handle, skipinitialspace=True)
        axes = sorted(n for n in reader.fieldnames or () if n.startswith("axis-"))
        for row in reader:
            try:
                points.append([float(row[axis]) for axis in axes])
            except (TypeError, ValueError):
                where = f"{file}: line {reader.line_num}"
                raise ValueError(f"{where}: expected numbers in {', '.join(axes)}") from None
            names.append((row["class"] or "").strip())
            if not names[-1]:
                raise ValueError(f"{file}: line {reader.line_num}: class: missing")
    classes, ids = own_table(names)
    kwargs = points_kwargs(ids, classes)
    data = np.array(points, np.float64).reshape(-1, len(axes))
    return [(data, {"name": file.stem, **kwargs}, "points")]
