"""Whether samples are copies: how near the nearest training patch lies, against unseen real ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Floats = npt.NDArray[np.float64]

CLOSE = 0.05
"""The share of unseen real patches that count as close to a training patch, by definition."""


def nearest_distances(features: npt.ArrayLike, training: npt.ArrayLike) -> Floats:
    """Each row's Euclidean distance to its nearest training patch, float64 (N,); (N, F), (M, F)."""
    tree = cKDTree(np.asarray(training, np.float64))
    return np.asarray(tree.query(np.asarray(features, np.float64))[0], np.float64)


def closeness(made: Floats, unseen: Floats) -> dict[str, float]:
    """Samples' ``nearest_distances`` against those of real patches that were not trained on.

    ``median ratio`` is 1 where samples lie as far from training patches as unseen real ones do, and
    falls towards 0 with copies; ``closer than the closest 5 % of unseen`` is then 0.05.
    NaN where either is empty.
    """
    if not (made.size and unseen.size):
        return {"median ratio": float("nan"), "closer than the closest 5 % of unseen": float("nan")}
    usual = float(np.median(unseen))
    return {
        "median ratio": float(np.median(made)) / usual if usual > 0 else float("nan"),
        "closer than the closest 5 % of unseen": float((made < np.quantile(unseen, CLOSE)).mean()),
    }
