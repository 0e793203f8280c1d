"""Perturbed copies of labels: each nucleus is mirrored and moved a little."""

from __future__ import annotations

import numpy as np
from scipy import ndimage as ndi

from napari_cosynth.records.base import remade
from napari_cosynth.types import Record

SHIFT = 1.5
"""Standard deviation of a nucleus' move along each axis, in µm."""
LARGEST_OVERLAP = 0.2
"""Largest share of a nucleus that others may cover at its new place; else it does not move."""


def perturbed(record: Record, rng: np.random.Generator) -> Record:
    """The record with perturbed labels, which no longer match its image (Oh and Jeong 2023).

    In random order, each nucleus is mirrored within its own box and moved by a normally distributed
    distance. A nucleus that would lie too far under others or outside (:data:`LARGEST_OVERLAP`) stays in
    its place. Nuclei placed earlier keep their pixels. Distance, layout and instances are recomputed.
    """
    instances = np.zeros_like(record.instances)
    labels = np.zeros_like(record.labels)
    height, width = labels.shape
    boxes = ndi.find_objects(record.instances)
    for index in rng.permutation(len(boxes)).tolist():
        box = boxes[index]
        if box is None:
            continue
        own = record.instances[box] == index + 1
        class_id = record.labels[box][own][0]
        moves = rng.normal(0, SHIFT / record.mpp, 2).round().astype(int)
        mirrored = own[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
        for mask, (dy, dx) in ((mirrored, moves), (own, (0, 0))):
            y, x = np.nonzero(mask)
            y, x = y + box[0].start + dy, x + box[1].start + dx
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            y, x = y[inside], x[inside]
            free = instances[y, x] == 0
            if free.sum() >= (1 - LARGEST_OVERLAP) * own.sum():
                break
        instances[y[free], x[free]] = index + 1
        labels[y[free], x[free]] = class_id
    return remade(record, record.image, instances, labels, source=f"{record.source}, perturbed")
