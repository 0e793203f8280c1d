"""Repair of edited records: instances from points, or everything else from instances."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import numpy as np

from napari_cosynth.geometry.instances import agreeing_labels, separate
from napari_cosynth.geometry.measure import majority_classes
from napari_cosynth.records.base import remade
from napari_cosynth.types import Layout, Record, Report


def separated_again(record: Record, layout: Layout | None = None) -> tuple[Record, Report]:
    """The record with instances separated anew from the layout's points, and the report on it.

    The watershed runs over the record's labels and distance. Foreground that was painted where
    ``distance`` is 0 floods last. Each instance then has one class in the labels. ``layout`` replaces
    the record's own. Raises ValueError if its canvas or classes differ from the record's.
    """
    layout = record.layout if layout is None else layout
    if layout.shape != record.labels.shape or layout.classes != record.classes:
        raise ValueError(
            f"{record.source}: a layout of {layout.shape} in {', '.join(layout.classes.names[1:])} "
            f"does not fit labels of {record.labels.shape} in {', '.join(record.classes.names[1:])}"
        )
    instances, report = separate(record.labels, record.distance, layout)
    labels = agreeing_labels(instances, record.labels, len(record.classes))
    return dataclasses.replace(record, instances=instances, labels=labels, layout=layout), report


def updated_from_instances(record: Record, new_class: int | None = None) -> Record:
    """The record with labels, distance and layout recomputed from its instances, numbered anew.

    An instance takes the majority class of the labels under it. An instance on no label at all, which
    has just been painted, takes ``new_class``; without one, ValueError names the instance. Separate
    parts of an instance become instances of their own.
    """
    ids = majority_classes(record.instances, record.labels, len(record.classes))
    present = np.zeros(len(ids) + 1, bool)
    present[np.unique(record.instances)] = True
    new = np.flatnonzero(present[1:] & (ids == 0)) + 1
    if new.size and new_class is None:
        raise ValueError(
            f"{record.source}: instance {new[0]} lies on no label: choose a class for new nuclei"
        )
    if new_class is not None:
        ids[new - 1] = new_class
    # One class per instance first, so that its parts beyond the old labels get that class too.
    table = np.concatenate([np.zeros(1, np.uint8), ids])
    labels = table[record.instances]
    return remade(record, record.image, record.instances, labels, smallest=1)


def without_nuclei(record: Record, ids: Collection[int]) -> Record:
    """The record without some instances and points; their pixels become background.

    ``ids`` are instances or missed points (row of the layout + 1). The others are numbered anew in their
    order, points first, so that an id still names its point. The image is not changed. Raises ValueError
    if an id is neither an instance nor a point.
    """
    count = len(record.layout)
    present = np.unique(record.instances)
    known = np.union1d(np.arange(1, count + 1), present[present > 0])
    unknown = sorted(set(ids) - set(known.tolist()))
    if unknown:
        raise ValueError(f"{record.source}: no instance or point {unknown[0]}")
    kept = np.setdiff1d(known, list(ids))
    table = np.zeros(int(known.max(initial=0)) + 1, np.int32)
    table[kept] = np.arange(1, len(kept) + 1)
    instances = table[record.instances]
    gone = (record.instances > 0) & (instances == 0)
    rows = kept[kept <= count] - 1
    return dataclasses.replace(
        record,
        instances=instances,
        labels=np.where(gone, np.uint8(0), record.labels),
        distance=np.where(gone, np.float32(0), record.distance),
        layout=dataclasses.replace(
            record.layout,
            centroids=record.layout.centroids[rows],
            class_ids=record.layout.class_ids[rows],
        ),
    )
