"""Realism of labels: Fréchet distance of class areas, counts and areas against the layout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cosynth.evaluation.metrics.distances import frechet_distance
from napari_cosynth.evaluation.metrics.quotients import quotient
from napari_cosynth.evaluation.metrics.shapes import Nuclei
from napari_cosynth.types import Record

Floats = npt.NDArray[np.float64]


def class_percentages(labels: Iterable[npt.NDArray[np.uint8]], classes: int) -> Floats:
    """The share of each class in each image's pixels, in percent, float64 (N, K); rows sum to 100."""
    rows = [np.bincount(m.ravel(), minlength=classes) * (100 / m.size) for m in labels]
    return np.array(rows, np.float64).reshape(-1, classes)


def segmentation_distance(real: Floats, made: Floats) -> float:
    """FSD: Fréchet's distance of two sets of ``class_percentages`` (Bau et al. 2019).

    The background is one of the classes. The distance is biased, as every Fréchet distance: compare at
    equal N.
    """
    return frechet_distance(real, made)


@dataclass(frozen=True)
class Amounts:
    """Nuclei that a layout asked for and that came, float64 (..., K); index 0 sums the classes."""

    images: Floats
    """Number of images."""
    points: Floats
    """Number of points of a class."""
    excess: Floats
    """Instances of a class minus its points."""
    error: Floats
    """Absolute value of ``excess`` of each image, summed, so that opposite errors do not cancel."""
    area: Floats
    """Area of a class in µm²."""
    expected_area: Floats
    """Points of a class times its mean area on real tiles in µm²; 0 if that is unknown."""
    known_area: Floats
    """``area`` of a class whose mean area is known, else 0."""

    def errors(self) -> dict[str, Floats]:
        """Rows of the report's table, by name; NaN for a class without points."""
        return {
            "count error, nuclei per image": quotient(self.error, self.images),
            "count excess, share of points": quotient(self.excess, self.points),
            "area excess, share of expected": quotient(self.known_area, self.expected_area) - 1,
        }


def amounts(record: Record, nuclei: Nuclei, mean_areas: Floats) -> Amounts:
    """The amounts of one record; ``mean_areas`` µm² (K,) of real nuclei by class, NaN if unknown."""
    classes = len(record.classes)

    def summed(values: npt.ArrayLike) -> Floats:
        rest = np.asarray(values, np.float64)[1:]
        return np.concatenate([[rest.sum()], rest])

    points = np.bincount(record.layout.class_ids, minlength=classes).astype(np.float64)
    found = np.bincount(nuclei.class_ids, minlength=classes).astype(np.float64)
    area = np.bincount(nuclei.class_ids, nuclei.area, classes)
    known = ~np.isnan(mean_areas)
    return Amounts(
        images=np.ones(classes),
        points=summed(points),
        excess=summed(found - points),
        error=summed(np.abs(found - points)),
        area=summed(area),
        expected_area=summed(np.where(known, points * np.nan_to_num(mean_areas), 0)),
        known_area=summed(np.where(known, area, 0)),
    )
