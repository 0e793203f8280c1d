"""File > Open: data sets, slides, nuclei and layouts -> layer tuples for napari.

Each reader checks the content and claims what it can read; all else is left to napari and other plugins.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from napari_cosynth.datasets.coco import CocoDataset
from napari_cosynth.datasets.formats import formats_of
from napari_cosynth.io.stack_format import DESCRIPTION
from napari_cosynth.io.text import encoding_of
from napari_cosynth.io.tiff import largest_series, open_tiff_file
from napari_cosynth.layouts.sources.class_names import own_table
from napari_cosynth.slides.ome_zarr_slide import is_ome_zarr
from napari_cosynth.slides.slide import open_slide
from napari_cosynth.widget.layers.dataset_layers import dataset_layers
from napari_cosynth.widget.layers.layout import points_kwargs
from napari_cosynth.widget.layers.nuclei_layers import nuclei_layers
from napari_cosynth.widget.layers.slide_layers import LayerTuple, slide_layers, zarr_layers

Reader: TypeAlias = Callable[[str | Sequence[str]], list[LayerTuple]]


def dataset_reader(path: str | Sequence[str]) -> Reader | None:
    """A reader for data sets: our exports, also by the path of their ``cosynth.json``, and published
    formats; None for anything else."""
    first = _one(path)
    root = first.parent if first.name == DESCRIPTION else first
    if root.is_file() and not CocoDataset.recognises(root):
        return None  # nuclei without an image; their own reader lays them over an open image
    if _is_plain_zarr(root):
        return None
    return _read_dataset if formats_of(root) else None


def slide_reader(path: str | Sequence[str]) -> Reader | None:
    """A reader for slides in files: SVS, NDPI, SCN, MIRAX, TIFF; None for TIFFs that are not 8-bit images
    which we can read: napari opens those."""
    first = _one(path)
    plain = first.suffix.lower() in (".tif", ".tiff")
    return None if plain and not _is_slide(first) else _read_slide


def _is_slide(path: Path) -> bool:
    try:
        with open_tiff_file(path) as tif:
            bits = largest_series(tif).keyframe.bitspersample
        return bits == 8 and bool(open_slide(path).levels)
    except (OSError, ValueError):
        return False


def zarr_reader(path: str | Sequence[str]) -> Reader | None:
    """A reader for OME-Zarr folders; None for any other folder, and for our own exports."""
    return _read_zarr if _is_plain_zarr(_one(path)) else None


def _is_plain_zarr(path: Path) -> bool:
    return is_ome_zarr(path) and not (path / DESCRIPTION).is_file()


def nuclei_reader(path: str | Sequence[str]) -> Reader | None:
    """A reader for nuclei of other programs (GeoJSON, HoVer-Net, CellViT); None for other JSON."""
    first = _one(path)
    return None if first.name == DESCRIPTION or CocoDataset.recognises(first) else _read_nuclei


def points_reader(path: str | Sequence[str]) -> Reader | None:
    """A reader for napari's Points CSV with a ``class`` column; None for any other CSV."""
    try:
        header = pd.read_csv(_one(path), nrows=0).columns
    except (OSError, ValueError):
        return None
    return _read_points if {"axis-0", "axis-1", "class"} <= set(header) else None


def _one(path: str | Sequence[str]) -> Path:
    return Path(path if isinstance(path, str) else path[0])


def _read_dataset(path: str | Sequence[str]) -> list[LayerTuple]:
    return dataset_layers(_one(path))


def _read_slide(path: str | Sequence[str]) -> list[LayerTuple]:
    return slide_layers(_one(path))


def _read_zarr(path: str | Sequence[str]) -> list[LayerTuple]:
    return zarr_layers(_one(path))


def _read_nuclei(path: str | Sequence[str]) -> list[LayerTuple]:
    return nuclei_layers(_one(path))


def _read_points(path: str | Sequence[str]) -> list[LayerTuple]:
    """Points in pixels, coloured by their class; a CSV holds neither µm/px nor a canvas.

    The classes are the bundled model's if it has all that the file names, else those of the file. Raises
    ValueError naming file and line if a number or a class is missing.
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
