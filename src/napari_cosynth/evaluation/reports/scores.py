"""Scores of a segmenter's nuclei against those of records: counts that add up, and their measures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.evaluation.metrics.quotients import quotient
from napari_cosynth.evaluation.metrics.segmentation import (
    Detection,
    Panoptic,
    aji_counts,
    detection,
    dice_counts,
    overlaps,
    panoptic,
)
from napari_cosynth.evaluation.reports.figure import ALL
from napari_cosynth.geometry.measure import majority_classes, snapped_centroids
from napari_cosynth.types import Record

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Counts of one image or of several, float64; counts of several draws have a leading axis."""

    dice: Floats
    """2 |A ∩ B| and |A| + |B|, (2,)."""
    aji: Floats
    """Intersections and unions, (2,)."""
    panoptic: Floats
    """True positives, their IoU, false positives, false negatives, (4, K); class 0 is all classes."""
    paired: Floats
    """Pairs of centroids by true class and found class, (K, K)."""
    missed: Floats
    """True nuclei without a partner, (K,)."""
    spurious: Floats
    """Found nuclei without a partner, (K,)."""

    def to_json(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name).tolist() for f in dataclasses.fields(self)}

    @classmethod
    def from_json(cls, value: Any, classes: int) -> Scores:
        """The counts in a JSON value. Raises ValueError naming the field that is wrong."""
        shapes = {
            "dice": (2,),
            "aji": (2,),
            "panoptic": (4, classes),
            "paired": (classes, classes),
            "missed": (classes,),
            "spurious": (classes,),
        }
        arrays = {}
        for name, shape in shapes.items():
            try:
                array = np.asarray(value[name], np.float64)
            except (KeyError, TypeError, ValueError):
                raise ValueError(f"{name}: expected numbers of shape {shape}") from None
            if array.shape != shape or not np.isfinite(array).all() or (array < 0).any():
                raise ValueError(f"{name}: expected finite counts of shape {shape}")
            arrays[name] = array
        return cls(**arrays)


def score(
    record: Record, instances: npt.NDArray[np.int32], class_ids: npt.NDArray[np.uint8]
) -> Scores:
    """The scores of found instances 1..N (H, W), of classes (N,), against a record's nuclei."""
    classes = len(record.classes)
    truth = record.instances
    # The ids of a synthetic record have gaps where points were missed.
    present = np.flatnonzero(np.bincount(truth.ravel()))
    present = present[present > 0]
    true_classes = majority_classes(truth, record.labels, classes)
    pairs = overlaps(truth, instances)
    areas = panoptic(pairs, true_classes, class_ids, classes)
    centres = detection(
        snapped_centroids(truth)[present - 1],
        true_classes[present - 1],
        snapped_centroids(instances),
        class_ids,
        classes,
        record.mpp,
    )
    return Scores(
        dice_counts(truth, instances),
        aji_counts(pairs),
        np.stack([areas.true_positives, areas.iou, areas.false_positives, areas.false_negatives]),
        centres.paired.astype(np.float64),
        centres.missed.astype(np.float64),
        centres.spurious.astype(np.float64),
    )


def measures(drawn: Scores, names: Sequence[str]) -> dict[tuple[str, str], Floats]:
    """(measure, class or "all") -> values (D,), from counts with a leading axis of D draws.

    ``names`` are the K class names. The measures are Dice, AJI, PQ, F_d, Acc and recall, and for each
    class PQ, F_c and recall. Recall is the share of nuclei that were found and given their class. NaN if
    undefined.
    """
    found: dict[tuple[str, str], list[float]] = {}

    def keep(measure: str, of: str, value: float | Floats) -> None:
        found.setdefault((measure, of), []).append(float(value))

    for row in range(len(drawn.dice)):
        centres = Detection(drawn.paired[row], drawn.missed[row], drawn.spurious[row])
        keep("Dice", ALL, quotient(*drawn.dice[row]))
        keep("AJI", ALL, quotient(*drawn.aji[row]))
        pq, f_c = Panoptic(*drawn.panoptic[row]).pq, centres.f_c
        keep("PQ", ALL, pq[0])
        keep("F_d", ALL, centres.f_d)
        keep("Acc", ALL, centres.accuracy)
        there = centres.paired.sum(1) + centres.missed
        right = np.diag(centres.paired)
        keep("recall", ALL, quotient(right.sum(), there.sum()))
        for k, name in enumerate(names[1:], start=1):
            keep("PQ", name, pq[k])
            keep("F_c", name, f_c[k])
            keep("recall", name, quotient(right[k], there[k]))
    return {key: np.array(values) for key, values in found.items()}
