"""Figures of shape: distances of the nuclei's sizes and forms from real ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from napari_cosynth.evaluation.metrics.bootstrap import Estimate, between
from napari_cosynth.evaluation.metrics.quotients import quotient
from napari_cosynth.evaluation.metrics.shapes import wasserstein
from napari_cosynth.evaluation.reports.figure import ALL, OVER_HALVES, Figure, halved, halved_many
from napari_cosynth.evaluation.reports.samples import Floats, Rows, Samples, spread

SECTION = "Shapes (Wasserstein distance from real)"
MEASURED = 3000
"""Most nuclei of a class and set that enter a distance of shapes."""


def shape_figures(made: Samples, real: Samples) -> Iterable[Figure]:
    """Wasserstein distances of area, eccentricity and solidity, class by class.

    Each is also divided by the distance between halves of the real tiles, the mean of several splits. 1
    then means the usual difference among tiles.
    """
    names = real.records[0].classes.names
    for kind, unit in (("area", ", µm²"), ("eccentricity", ""), ("solidity", "")):
        for k in range(len(names)):
            ours, theirs = (_values(s, kind, k) for s in (made, real))

            def distance(a: Rows, b: Rows, u: Any = ours, v: Any = theirs) -> float:
                return wasserstein(*(x[0][np.isin(x[1], rows)] for x, rows in ((u, a), (v, b))))

            def among(a: Rows, b: Rows, v: Any = theirs, d: Any = distance) -> float:
                return float(d(a, b, v, v))

            estimate = between(distance, (made.groups, real.groups))
            of = names[k] if k else ALL
            yield Figure(SECTION, f"{kind}{unit}", of, estimate, halved(real, among), "lower")
            usual = halved_many(real, among)
            yield Figure(
                SECTION,
                f"{kind}, {OVER_HALVES}",
                of,
                Estimate(float(quotient(estimate.value, usual)), quotient(estimate.draws, usual)),
                1.0 if usual > 0 else float("nan"),
                "lower",
            )


def _values(samples: Samples, kind: str, class_id: int) -> tuple[Floats, Rows]:
    """The values of one class' nuclei (class 0: of all), and the sample that each comes from."""
    values = [getattr(n, kind)[(n.class_ids == class_id) | (class_id == 0)] for n in samples.nuclei]
    owners = np.repeat(np.arange(len(values)), [len(v) for v in values])
    joint = np.concatenate(values)
    joint, owners = joint[~np.isnan(joint)], owners[~np.isnan(joint)]
    rows = spread(len(joint), MEASURED) if len(joint) else np.zeros(0, np.int64)
    return joint[rows], owners[rows]
