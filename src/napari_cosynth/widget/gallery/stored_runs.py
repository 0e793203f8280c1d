"""Runs that are not done yet, as a file of a session: a program that ends with a queue loses none of it.

A file holds each layout once, because many runs wait for the same one. Its points are base64: as
numbers, 100,000 of them would take a second to write.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.files import read_json
from napari_cosynth.io.settings import FORBID_UNKNOWN, parse, plain
from napari_cosynth.types import ClassTable, Layout, Previews, Request
from napari_cosynth.widget.layers.placement import Placement

MOST = 200
"""Most runs in a file; those that would come last are left out."""
LARGEST = 2**28
"""Most bytes of a file that is read."""


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A run of a whole canvas, with all that it needs."""

    name: str
    """Name of the layout's layer."""
    canvas: Placement
    """Placement of the layout."""
    placement: Placement
    """Placement of the result on its own grid."""
    request: Request
    previews: Previews
    fleeting: bool
    """Whether each sample replaces the layers of the one before."""


@dataclass(frozen=True)
class _Points:
    __pydantic_config__ = FORBID_UNKNOWN

    centroids: str
    class_ids: str
    shape: tuple[int, int]
    mpp: float
    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class _Asked:
    """The fields of a request but its layout."""

    __pydantic_config__ = FORBID_UNKNOWN

    prompt: str
    checkpoint: str
    sampler: str
    steps: int
    guidance: float
    seeds: tuple[int, ...]
    tissue: str
    stain: str
    look: str | tuple[float, ...]
    look_of: str
    device: str


@dataclass(frozen=True)
class _Run:
    __pydantic_config__ = FORBID_UNKNOWN

    layout: int
    name: str
    canvas: Placement
    placement: Placement
    request: _Asked
    previews: Previews
    fleeting: bool


@dataclass(frozen=True)
class _Runs:
    __pydantic_config__ = FORBID_UNKNOWN

    layouts: tuple[_Points, ...]
    runs: tuple[_Run, ...]


def written(runs: Sequence[StoredRun]) -> str:
    """The first ``MOST`` runs as text, which :func:`read_runs` reads."""
    layouts: list[Layout] = []
    rows = []
    for run in runs[:MOST]:
        layout = run.request.layout
        known = [i for i, other in enumerate(layouts) if other is layout]
        layouts += [] if known else [layout]
        names = [field.name for field in dataclasses.fields(_Asked)]
        asked = _Asked(**{name: getattr(run.request, name) for name in names})
        at = known[0] if known else len(layouts) - 1
        rows.append(
            _Run(at, run.name, run.canvas, run.placement, asked, run.previews, run.fleeting)
        )
    return json.dumps(plain(_Runs(tuple(map(_packed, layouts)), tuple(rows))), allow_nan=False)


def read_runs(file: Path) -> list[StoredRun]:
    """The runs in a file. Raises ValueError naming the file if it is damaged."""
    found = parse(_Runs, read_json(file, LARGEST), str(file))
    try:
        layouts = [_unpacked(points) for points in found.layouts]
        return [_run(row, layouts) for row in found.runs[:MOST]]
    except (ValueError, TypeError, IndexError) as error:
        raise ValueError(f"{file}: {error}") from None


def _run(row: _Run, layouts: Sequence[Layout]) -> StoredRun:
    if row.layout < 0:
        raise ValueError(f"layout: expected 0 or more, got {row.layout}")
    request = Request(layouts[row.layout], **vars(row.request))
    return StoredRun(row.name, row.canvas, row.placement, request, row.previews, row.fleeting)


def _packed(layout: Layout) -> _Points:
    colors = tuple((int(r), int(g), int(b)) for r, g, b in layout.classes.colors)
    return _Points(
        _text(layout.centroids.astype("<f4")),
        _text(layout.class_ids),
        layout.shape,
        float(layout.mpp),
        layout.classes.names,
        colors,
    )


def _unpacked(points: _Points) -> Layout:
    classes = ClassTable(points.names, np.array(points.colors, np.uint8))
    centroids = np.frombuffer(base64.b64decode(points.centroids, validate=True), "<f4")
    ids = np.frombuffer(base64.b64decode(points.class_ids, validate=True), np.uint8)
    return Layout(centroids.reshape(-1, 2), ids, points.shape, points.mpp, classes)


def _text(array: npt.NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
