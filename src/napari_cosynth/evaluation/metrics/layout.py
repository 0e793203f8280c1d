"""How well nuclei follow the points of the layout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cosynth.evaluation.metrics.quotients import quotient
from napari_cosynth.evaluation.metrics.shapes import Nuclei
from napari_cosynth.geometry.instances import merged_instances
from napari_cosynth.types import Record

Floats = npt.NDArray[np.float64]

PLAUSIBLE = (0.5, 2.0)
"""An area is plausible between these multiples of its class' median on real tiles, both included."""


@dataclass(frozen=True)
class Following:
    """Counts by the points' class, float64 (..., K); index 0 sums the classes. Counts add up."""

    points: Floats
    """Points of the class."""
    of_class: Floats
    """Points with an instance of their class."""
    judged: Floats
    """Points whose class has nuclei on real tiles, so that its plausible areas are known."""
    plausible: Floats
    """Points in ``judged`` with an instance of their class and of plausible area."""
    missed: Floats
    """Points without an instance."""
    merged: Floats
    """Points whose instance shows more than one peak of the distance map."""
    spurious: Floats
    """Instances that no point asked for, by their own class."""
    present: Floats
    """Points with an instance of any class."""
    offset: Floats
    """Sum over the points in ``present`` of the distance from point to centroid in µm."""

    def shares(self) -> dict[str, Floats]:
        """Rows of the report's table, by name, float64 (..., K); NaN for a class without points."""
        return {
            "points with an instance of their class": quotient(self.of_class, self.points),
            "points with one of plausible area": quotient(self.plausible, self.judged),
            "missed per point": quotient(self.missed, self.points),
            "merged per point": quotient(self.merged, self.points),
            "spurious per point": quotient(self.spurious, self.points),
            "centroid offset, µm": quotient(self.offset, self.present),
        }


def follow(record: Record, nuclei: Nuclei, medians: Floats) -> Following:
    """The counts of one record with its ``nuclei``; ``medians`` µm² (K,) of real nuclei by class.

    Instance ``i`` belongs to row ``i - 1`` of the layout. Ids above the layout's length are spurious, as
    instance separation numbers them.
    """
    layout, classes = record.layout, len(record.classes)
    count = len(layout)
    asked = layout.class_ids.astype(np.int64)
    own = nuclei.ids <= count
    rows = nuclei.ids[own] - 1
    present = np.zeros(count, bool)
    present[rows] = True
    of_class = np.zeros(count, bool)
    of_class[rows] = nuclei.class_ids[own] == asked[rows]
    area = np.full(count, np.nan)
    area[rows] = nuclei.area[own]
    usual = medians[asked]
    judged = ~np.isnan(usual)
    fits = (area >= PLAUSIBLE[0] * usual) & (area <= PLAUSIBLE[1] * usual)
    merged = np.zeros(count, bool)
    merged[np.array(merged_instances(record.distance, record.instances, count), int) - 1] = True
    away = np.zeros(count)
    offsets = nuclei.centroids[own] - layout.centroids[rows].astype(np.float64)
    away[rows] = np.linalg.norm(offsets, axis=1) * record.mpp

    def by_class(ids: npt.NDArray[np.int64], weights: npt.NDArray[np.generic]) -> Floats:
        sums = np.asarray(np.bincount(ids, weights.astype(np.float64), classes), np.float64)
        sums[0] = sums.sum()
        return sums

    return Following(
        points=by_class(asked, np.ones(count)),
        of_class=by_class(asked, of_class),
        judged=by_class(asked, judged),
        plausible=by_class(asked, judged & of_class & fits),
        missed=by_class(asked, ~present),
        merged=by_class(asked, merged),
        spurious=by_class(nuclei.class_ids[~own], np.ones(int((~own).sum()))),
        present=by_class(asked, present),
        offset=by_class(asked, away),
    )
