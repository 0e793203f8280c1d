"""Diversity: how much samples of one layout differ (paper, Fig. 5)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from napari_cosynth.evaluation.metrics.quotients import mean_defined, quotient

Floats = npt.NDArray[np.float64]


def label_dice(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """Dice coefficient of labels (H, W), counting foreground where the classes agree.

    2 |agreeing foreground| / (|foreground of a| + |foreground of b|); NaN if neither has a nucleus.
    """
    agreeing = ((a == b) & (a > 0)).sum()
    return float(quotient(2 * agreeing, (a > 0).sum() + (b > 0).sum()))


def pairwise_label_dice(labels: Sequence[npt.NDArray[np.uint8]]) -> float:
    """The mean ``label_dice`` over all pairs of one layout's samples; NaN below two."""
    return mean_defined([label_dice(a, b) for a, b in combinations(labels, 2)])


def pairwise_distance(features: Floats) -> float:
    """The mean Euclidean distance over all pairs of rows (N, F); NaN below two."""
    return mean_defined([np.linalg.norm(a - b) for a, b in combinations(features, 2)])
