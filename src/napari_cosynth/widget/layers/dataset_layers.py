"""A data set of any format -> layer tuples of as many of its samples as fit one set of layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
from napari.utils.notifications import show_info

from napari_cosynth.datasets.formats import open_records
from napari_cosynth.io.stack_format import DESCRIPTION
from napari_cosynth.records.base import NamedRecords
from napari_cosynth.types import Record
from napari_cosynth.widget.layers.record_layers import record_layers
from napari_cosynth.widget.layers.results import free_name
from napari_cosynth.widget.layers.slide_layers import LayerTuple

MOST_PIXELS = 1 << 26
"""Limit on the pixels of samples opened together: their layers take some 12 bytes a pixel."""


def dataset_layers(path: Path) -> list[LayerTuple]:
    """The layers of a data set, bottom first: image, distance, labels, instances, layout.

    N samples become arrays with a leading sample axis, (N, H, W[, 3]), and points (sample, y, x);
    a single sample has no such axis, so that it can be edited like a fresh result. The layers are named
    after the folder, with a number if the current viewer has a result of that name. If samples differ
    in shape, classes or µm/px, or if they are many, only the first ones that fit together are shown. A
    message then tells how many. Raises ValueError naming file and field.
    """
    _, dataset = open_records(path)
    records = _first_alike(dataset)
    if len(records) < len(dataset):
        show_info(
            f"{path.name}: {len(records)} of {len(dataset):,} samples are shown; *Data set…* in the "
            "CoSynth dock opens any of them"
        )
    folder = path.parent if path.name == DESCRIPTION else path
    viewer, wanted = napari.current_viewer(), folder.stem if folder.is_file() else folder.name
    group = wanted if viewer is None else free_name(viewer, wanted)
    shown = list(dataset.names)[: len(records)]
    return record_layers(records, [_said(dataset, name) for name in shown], group)


def _first_alike(dataset: NamedRecords) -> tuple[Record, ...]:
    """The leading records with the first one's shape, classes and µm/px, within ``MOST_PIXELS``."""
    alike: list[Record] = []
    for record in dataset:
        first = alike[0] if alike else record
        fits = (record.labels.shape, record.classes, record.mpp) == (
            first.labels.shape,
            first.classes,
            first.mpp,
        )
        if not fits or (alike and (len(alike) + 1) * record.labels.size > MOST_PIXELS):
            break
        alike.append(record)
    return tuple(alike)


def _said(dataset: NamedRecords, name: str) -> dict[str, Any]:
    """A sample's recipe from the description of our own export; empty without one."""
    own = dataset.own
    return dict(own.samples[own.index[name]]) if own and name in own.index else {}
