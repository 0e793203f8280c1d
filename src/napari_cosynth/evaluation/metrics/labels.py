"""Whether labels are those of tissue: class areas as Fréchet's distance, counts and areas as asked."""

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
    """Per image the share of its pixels in each class, in percent: float64 (N, K), rows sum to 100."""
    rows = [np.bincount(m.ravel(), minlength=classes) * (100 / m.size) for m in labels]
    return np.array(rows, np.float64).reshape(-1, classes)


def segmentation_distance(real: Floats, made: Floats) -> float:
    """FSD: Fréchet's distance of two sets of ``class_percentages`` (Bau et al. 2019).

    The background is one of the classes. Biased as every Fréchet distance: compare at equal N.
    """
    return frechet_distance(real, made)


@dataclass(frozen=True)
class Amounts:
    """What a layout asked for and what came, float64 (..., K); index 0 sums the classes."""

    images: Floats
    points: Floats
    excess: Floats
    """Instances of a class less its points."""
    error: Floats
    """The same without its sign, image by image: opposite errors do not cancel."""
    area: Floats
    """µm² of a class."""
    expected_area: Floats
    """Its points times its mean area on real tiles; 0 where that is not known."""
    known_area: Floats
    """µm² of the classes whose mean area is known."""

    def errors(self) -> dict[str, Floats]:
        """What a table shows; NaN for a class without points."""
        return {
            "count error, nuclei per image": quotient(self.error, self.images),
            "count excess, share of points": quotient(self.excess, self.points),
            "area excess, share of expected": quotient(self.known_area, self.expected_area) - 1,
        }


def amounts(record: Record, nuclei: Nuclei, mean_areas: Floats) -> Amounts:
    """One record's amounts; ``mean_areas`` µm² (K,) of real nuclei by class, NaN where unknown."""
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
