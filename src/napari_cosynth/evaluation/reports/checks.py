"""Checks of a sample before anything is measured on it."""

from __future__ import annotations

import numpy as np

from napari_cosynth.types import Record


def check_sample(record: Record) -> None:
    """Raises ValueError naming the record's source, the array and the fault.

    Ids must be 0 or more and plausible, each instance of one class, and distances in [0, 1].
    """
    ids, labels = record.instances, record.labels
    if ids.min(initial=0) < 0:
        raise ValueError(f"{record.source}: instances: expected ids from 0, got {ids.min()}")
    most = len(record.layout) + ids.size
    if ids.max(initial=0) > most:
        raise ValueError(f"{record.source}: instances: expected ids up to {most}, got {ids.max()}")
    # One pixel's class is kept for each instance; if an instance has two, other pixels disagree.
    kept = np.zeros(int(ids.max(initial=0)) + 1, labels.dtype)
    kept[ids] = labels
    mixed = np.argwhere((kept[ids] != labels) & (ids > 0))
    if mixed.size:
        y, x = mixed[0]
        one, other = sorted(record.classes.names[k] for k in (kept[ids[y, x]], labels[y, x]))
        raise ValueError(
            f"{record.source}: labels: instance {ids[y, x]} is both {one!r} and {other!r}"
        )
    distance = record.distance
    if not (np.isfinite(distance).all() and distance.min() >= 0 and distance.max() <= 1):
        raise ValueError(f"{record.source}: distances: expected values in [0, 1]")
