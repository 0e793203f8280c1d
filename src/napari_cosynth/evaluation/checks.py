"""What must hold of a sample before anything is measured on it."""

from __future__ import annotations

import numpy as np

from napari_cosynth.types import Record


def check_sample(record: Record) -> None:
    """Raises ValueError naming the record's source, the array and what is wrong with it."""
    ids, labels = record.instances, record.labels
    if ids.min(initial=0) < 0:
        raise ValueError(f"{record.source}: instances: expected ids from 0, got {ids.min()}")
    most = len(record.layout) + ids.size
    if ids.max(initial=0) > most:
        raise ValueError(f"{record.source}: instances: expected ids up to {most}, got {ids.max()}")
    highest = np.zeros(int(ids.max(initial=0)) + 1, np.int64)
    lowest = np.full(len(highest), 255)
    np.maximum.at(highest, ids.ravel(), labels.ravel())
    np.minimum.at(lowest, ids.ravel(), labels.ravel())
    mixed = np.flatnonzero(highest[1:] > lowest[1:]) + 1
    if mixed.size:
        names = record.classes.names
        raise ValueError(
            f"{record.source}: labels: instance {mixed[0]} is both {names[lowest[mixed[0]]]!r} and "
            f"{names[highest[mixed[0]]]!r}"
        )
    distance = record.distance
    if not (np.isfinite(distance).all() and distance.min() >= 0 and distance.max() <= 1):
        raise ValueError(f"{record.source}: distances: expected values in [0, 1]")
