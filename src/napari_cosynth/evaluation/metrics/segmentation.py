"""Segmentation metrics of instances and classes: Dice, AJI, PQ, and HoVer-Net's F_d, Acc, F_c.

Every metric is computed from counts that add up. So the same functions give the value of one image, of a
whole set (the sum of its images' counts) and of a bootstrap draw. For papers that average over images,
take the mean of the images' values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from napari_cosynth.evaluation.metrics.quotients import mean_defined, quotient

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

PAIRING_PIXELS, PAIRING_MPP = 12, 0.25
"""HoVer-Net's pairing radius in pixels, and the µm/px at which it was chosen (40x)."""


@dataclass(frozen=True)
class Overlaps:
    """The P pairs of instances of two maps that share pixels."""

    true_ids: Ints
    """Ids above 0 in the true map, (P,)."""
    found_ids: Ints
    """Ids above 0 in the found map, (P,)."""
    pixels: Ints
    """Pixels in common, (P,)."""
    true_areas: Ints
    """Pixels of each true id, (N + 1,); 0 for the background and an id that does not occur."""
    found_areas: Ints
    """Pixels of each found id, (M + 1,)."""

    @property
    def unions(self) -> Ints:
        """Pixels in either instance of each pair, (P,)."""
        return self.true_areas[self.true_ids] + self.found_areas[self.found_ids] - self.pixels

    @property
    def iou(self) -> Floats:
        """Intersection over union of each pair, (P,), in (0, 1]."""
        return np.asarray(self.pixels / self.unions, np.float64)


def overlaps(truth: npt.NDArray[np.int32], found: npt.NDArray[np.int32]) -> Overlaps:
    """The overlapping pairs of two instance maps, int32 (H, W), 0 where there is no nucleus."""
    areas = [np.bincount(ids.ravel()).astype(np.int64) for ids in (truth, found)]
    for area in areas:
        area[0] = 0
    both = (truth > 0) & (found > 0)
    width = len(areas[1])
    keys, pixels = np.unique(truth[both].astype(np.int64) * width + found[both], return_counts=True)
    return Overlaps(keys // width, keys % width, pixels.astype(np.int64), areas[0], areas[1])


def dice_counts(truth: npt.NDArray[np.integer], found: npt.NDArray[np.integer]) -> Floats:
    """(2 |A ∩ B|, |A| + |B|) of two foregrounds (H, W); their quotient is Dice's coefficient (1945)."""
    a, b = truth > 0, found > 0
    return np.array([2 * (a & b).sum(), a.sum() + b.sum()], np.float64)


def aji_counts(pairs: Overlaps) -> Floats:
    """(intersections, unions) in pixels; their quotient is the Aggregated Jaccard Index.

    Kumar et al. 2017: each true nucleus is paired with the found one of highest IoU, which several may
    share. Nuclei without a partner add their area to the unions.
    """
    best: dict[int, int] = {}
    for row in np.argsort(-pairs.iou, kind="stable").tolist():
        best.setdefault(int(pairs.true_ids[row]), row)
    rows = np.fromiter(best.values(), np.int64, len(best))
    unions = int(pairs.unions[rows].sum())
    for areas, paired in (
        (pairs.true_areas, pairs.true_ids[rows]),
        (pairs.found_areas, pairs.found_ids[rows]),
    ):
        unions += int(areas.sum() - areas[np.unique(paired)].sum())
    return np.array([pairs.pixels[rows].sum(), unions], np.float64)


@dataclass(frozen=True)
class Panoptic:
    """Counts of panoptic quality (Kirillov et al. 2019), float64 (K,) each; they add up.

    Index 0 takes all nuclei as one class, index k only those of class k.
    """

    true_positives: Floats
    iou: Floats
    """Sum of the IoU of the true positives."""
    false_positives: Floats
    false_negatives: Floats

    def __add__(self, other: Panoptic) -> Panoptic:
        return Panoptic(
            self.true_positives + other.true_positives,
            self.iou + other.iou,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )

    @property
    def dq(self) -> Floats:
        """Detection quality, in [0, 1]; NaN for a class that neither map has."""
        tp = self.true_positives
        return quotient(tp, tp + 0.5 * self.false_positives + 0.5 * self.false_negatives)

    @property
    def sq(self) -> Floats:
        """Segmentation quality, in (0.5, 1]; 0 without a true positive, NaN as ``dq``."""
        sq = quotient(self.iou, self.true_positives)
        return np.where((self.true_positives == 0) & ~np.isnan(self.dq), 0.0, sq)

    @property
    def pq(self) -> Floats:
        """Panoptic quality, in [0, 1]; NaN as ``dq``."""
        return self.dq * self.sq

    @property
    def mpq(self) -> float:
        """Mean PQ of the classes that occur (PanNuke's mPQ of an image, CoNIC's of a set)."""
        return mean_defined(self.pq[1:])


def panoptic(
    pairs: Overlaps, true_classes: npt.ArrayLike, found_classes: npt.ArrayLike, classes: int
) -> Panoptic:
    """Counts of panoptic quality; nuclei match at IoU above 0.5, where none can have two matches.

    ``true_classes`` and ``found_classes`` (N,), (M,) are the classes of instances 1..N and 1..M.
    ``classes`` is K with the background. A match of different classes counts only for index 0.
    """
    true_of, found_of = (
        np.concatenate([[0], np.asarray(c, np.int64)]) for c in (true_classes, found_classes)
    )
    matched = pairs.iou > 0.5
    iou = pairs.iou[matched]
    a, b = true_of[pairs.true_ids[matched]], found_of[pairs.found_ids[matched]]
    tp, total = (
        np.bincount(a[a == b], weights, classes).astype(np.float64)
        for weights in (np.ones(int((a == b).sum())), iou[a == b])
    )
    tp[0], total[0] = len(iou), iou.sum()
    present = []
    for areas, of in ((pairs.true_areas, true_of), (pairs.found_areas, found_of)):
        ids = np.flatnonzero(areas)
        counts = np.bincount(of[ids], minlength=classes).astype(np.float64)
        counts[0] = len(ids)
        present.append(counts)
    return Panoptic(tp, total, present[1] - tp, present[0] - tp)


@dataclass(frozen=True)
class Detection:
    """Counts of HoVer-Net's detection and classification scores (Graham et al. 2019); they add up."""

    paired: Ints
    """Pairs by true class and found class, (K, K)."""
    missed: Ints
    """True nuclei without a partner by class, (K,)."""
    spurious: Ints
    """Found nuclei without a partner by class, (K,)."""

    def __add__(self, other: Detection) -> Detection:
        return Detection(
            self.paired + other.paired, self.missed + other.missed, self.spurious + other.spurious
        )

    @property
    def f_d(self) -> float:
        """F1 of the detection, whatever the classes."""
        twice = 2 * self.paired.sum()
        return float(quotient(twice, twice + self.missed.sum() + self.spurious.sum()))

    @property
    def accuracy(self) -> float:
        """Share of the pairs whose classes agree."""
        return float(quotient(np.trace(self.paired), self.paired.sum()))

    @property
    def f_c(self) -> Floats:
        """F1 of each class, float64 (K,); NaN for the background and for a class that neither has.

        It follows the published code: 2 TP / (2 TP + 2 FP + 2 FN + FP_d + FN_d), over the pairs in which
        either nucleus is of the class. Such pairs have no true negatives.
        """
        tp = np.diag(self.paired)
        wrong = self.paired.sum(0) + self.paired.sum(1) - 2 * tp
        f_c = quotient(2 * tp, 2 * tp + 2 * wrong + self.missed + self.spurious)
        f_c[0] = np.nan
        return f_c


def detection(
    true_centroids: npt.NDArray[np.floating],
    true_classes: npt.ArrayLike,
    found_centroids: npt.NDArray[np.floating],
    found_classes: npt.ArrayLike,
    classes: int,
    mpp: float,
) -> Detection:
    """Counts of the pairs of centroids (N, 2), (M, 2) in pixels of ``mpp`` µm.

    Their classes (N,), (M,) are 1..K-1. As in the published code, centroids are paired by the assignment
    of least total distance, and pairs farther apart than 12 pixels at 40x (3 µm) are then dropped.
    """
    a, b = np.asarray(true_classes, np.int64), np.asarray(found_classes, np.int64)
    away = np.linalg.norm(true_centroids[:, None] - found_centroids[None], axis=-1) * mpp
    rows, columns = linear_sum_assignment(away)
    near = away[rows, columns] <= PAIRING_PIXELS * PAIRING_MPP
    rows, columns = rows[near], columns[near]
    paired = np.zeros((classes, classes), np.int64)
    np.add.at(paired, (a[rows], b[columns]), 1)
    return Detection(
        paired,
        np.bincount(np.delete(a, rows), minlength=classes),
        np.bincount(np.delete(b, columns), minlength=classes),
    )
