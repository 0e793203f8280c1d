"""Recipes and layouts of the samples in an export of any format, for replays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_cosynth.io.stack_format import (
    DESCRIPTION,
    LAYOUTS,
    Pages,
    Point,
    points_of,
    read_description,
)
from napari_cosynth.types import ClassTable, Layout


def read_count(path: Path) -> int:
    """The number of samples in an export. Raises ValueError naming file and field."""
    return len(_description(path)["samples"])


def read_sample(path: Path, index: int) -> tuple[Layout, dict[str, Any]]:
    """The layout of sample ``index``, and its entry in ``cosynth.json``.

    ``path`` is the folder of an export of any format, or its ``cosynth.json``. A synthetic sample's
    entry has ``synthetic`` true and the values that reproduce it (``Synthesis.recipe``): ``seed``,
    ``prompt``, ``tissue``, ``stain``, ``sampler``, ``steps``, ``guidance``, ``checkpoint`` and
    ``checkpoint_sha256``. ``edited`` true means that the stored sample differs from the one that the
    recipe gives. ``relaid`` tells how its points differ from those that were sampled. A real record's
    entry tells where the record comes from. The layout's points are in pixels of the sample's grid, in
    the export's class table and µm/px. Raises ValueError naming file and field.
    """
    folder = _folder(path)
    description = _description(path)
    count = len(description["samples"])
    if not 0 <= index < count:
        raise ValueError(f"{folder}: sample: expected 0..{count - 1}, got {index}")
    classes = _classes(folder, description)
    rows = points_of(folder / LAYOUTS, count, classes.names)
    points = [point for sample, point in rows if sample == index]
    return _sample(folder, description, classes, index, points)


def read_samples(path: Path) -> Iterator[tuple[Layout, dict[str, Any]]]:
    """Every sample as by :func:`read_sample`, in order, in one pass over the files."""
    folder = _folder(path)
    description = _description(path)
    count, classes = len(description["samples"]), _classes(folder, description)
    rows = points_of(folder / LAYOUTS, count, classes.names)
    waiting = next(rows, None)
    for index in range(count):
        points: list[Point] = []
        while waiting is not None and waiting[0] == index:
            points.append(waiting[1])
            waiting = next(rows, None)
        if waiting is not None and waiting[0] < index:
            raise ValueError(f"{folder / LAYOUTS}: the points of sample {waiting[0]} are scattered")
        yield _sample(folder, description, classes, index, points)


def _sample(
    folder: Path,
    description: dict[str, Any],
    classes: ClassTable,
    index: int,
    points: list[Point],
) -> tuple[Layout, dict[str, Any]]:
    try:
        layout = Layout(
            np.array([p[:2] for p in points], np.float32).reshape(-1, 2),
            np.array([classes.index(p[2]) for p in points], np.uint8),
            _shape(folder, description, index),
            float(description["mpp"]),
            classes,
        )
        entry = description["samples"][index]
        if not isinstance(entry, dict):
            raise ValueError(f"{DESCRIPTION}: expected an object, got {entry!r}")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{folder}: sample {index}: {error}") from None
    return layout, dict(entry)


def _classes(folder: Path, description: dict[str, Any]) -> ClassTable:
    try:
        colors = np.array(description["colors"], np.uint8)
        return ClassTable(tuple(description["classes"]), colors)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{folder / DESCRIPTION}: {error}") from None


def _shape(folder: Path, description: dict[str, Any], index: int) -> tuple[int, int]:
    if description.get("shapes"):
        height, width = description["shapes"][index]
    else:  # stacks of earlier versions state shapes only in their arrays
        pages = Pages(folder / "labels.tif", len(description["samples"]), np.uint8, 3)
        height, width = pages.shape[1:]
    return int(height), int(width)


def _folder(path: Path) -> Path:
    path = Path(path)
    return path.parent if path.name == DESCRIPTION else path


def _description(path: Path) -> dict[str, Any]:
    folder = _folder(path)
    if not (folder / DESCRIPTION).is_file():
        raise ValueError(f"{folder}: no {DESCRIPTION}, so no recipe: is it an export of CoSynth?")
    return read_description(folder / DESCRIPTION)
