"""Nuclei of synthetic samples by the rules for real patches: connected and not too small."""

from __future__ import annotations

import dataclasses

import numpy as np
from skimage.measure import label as connected

from napari_cosynth.geometry.measure import SMALLEST_FRAGMENT
from napari_cosynth.types import Record


def counted(record: Record) -> Record:
    """A sample whose nuclei follow the rules of :func:`napari_cosynth.records.base.crop` for real ones.

    A nucleus is one 8-connected part of at least ``SMALLEST_FRAGMENT`` pixels; smaller parts become
    background. If an instance has several parts, the largest keeps its id, and so belongs to its point;
    each other part gets an id that no point has. The layout stays as it was asked for, so a point whose
    nucleus was too small has none. If nothing changes, the record itself is returned.
    """
    ids = record.instances
    parts = np.asarray(connected(ids, background=0, connectivity=2), np.int64)
    areas = np.bincount(parts.ravel())
    owners = np.zeros(len(areas), np.int64)
    owners[parts.ravel()] = ids.ravel()
    areas[0] = 0
    # Order by owner, then the largest part first; the part's number decides between equals.
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
