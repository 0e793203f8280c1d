"""The nuclei of synthetic samples, counted as those of real patches are."""

from __future__ import annotations

import dataclasses

import numpy as np
from skimage.measure import label as connected

from napari_cosynth.geometry.measure import SMALLEST_FRAGMENT
from napari_cosynth.types import Record


def counted(record: Record) -> Record:
    """A sample whose nuclei are what :func:`napari_cosynth.records.base.crop` makes of real ones.

    A nucleus is one 8-connected part of at least ``SMALLEST_FRAGMENT`` pixels; smaller parts become
    background. Of an instance in several parts the largest keeps its id, so that its point keeps it, and
    each other one gets an id that no point has. The layout, which says what was asked for, stays: a
    point whose nucleus was too small has none. The record itself where all its nuclei are such parts.
    """
    ids = record.instances
    parts = np.asarray(connected(ids, background=0, connectivity=2), np.int64)
    areas = np.bincount(parts.ravel())
    owners = np.zeros(len(areas), np.int64)
    owners[parts.ravel()] = ids.ravel()
    areas[0] = 0
    # By owner, of which the largest comes first; a part's number decides between equals.
    order = np.lexsort((np.arange(len(areas)), -areas, owners))
    order = order[areas[order] >= SMALLEST_FRAGMENT]
    first = np.concatenate([[True], np.diff(owners[order]) > 0])[: len(order)]
    if len(order) == len(areas) - 1 and first.all():
        return record
    table = np.zeros(len(areas), np.int32)
    table[order[first]] = owners[order[first]]
    rest = np.sort(order[~first])
    table[rest] = max(len(record.layout), int(ids.max(initial=0))) + 1 + np.arange(len(rest))
    instances = table[parts]
    labels = np.where(instances > 0, record.labels, 0).astype(np.uint8)
    return dataclasses.replace(record, instances=instances, labels=labels)
