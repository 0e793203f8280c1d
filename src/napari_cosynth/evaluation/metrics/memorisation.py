"""Memorisation: distances of samples to the nearest training patch, against those of unseen patches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Floats = npt.NDArray[np.float64]

CLOSE = 0.05
"""Share of unseen real patches that count as close to a training patch."""
RATIO, CLOSER, NEARER = (
    "median ratio",
    "closer than the closest 5 % of unseen",
    "nearer than an unseen patch",
)
USUAL = {RATIO: 1.0, CLOSER: CLOSE, NEARER: 0.5}
"""Values of samples that lie as unseen real patches do."""


def nearest_distances(features: npt.ArrayLike, training: npt.ArrayLike) -> Floats:
    """The Euclidean distance of each row (N, F) to its nearest training patch (M, F), float64 (N,)."""
    tree = cKDTree(np.asarray(training, np.float64))
    return np.asarray(tree.query(np.asarray(features, np.float64))[0], np.float64)


def closeness(made: Floats, unseen: Floats) -> dict[str, float]:
    """Three figures of samples' ``nearest_distances`` (N,) against those (M,) of unseen real patches.

    All distances are to the same training patches, so N and M may differ. NaN if either is empty.

    - ``median ratio`` is 1 if samples lie as far from training patches as unseen ones do. It falls
      towards 0 with copies.
    - ``nearer than an unseen patch`` is the share of pairs in which the sample is nearer; a tie counts
      half. It is 0.5 if both are alike, whatever N and M, and 1 with copies.
    - ``closer than the closest 5 % of unseen`` is 0.05 if both are alike and M is 19 or more. The limit
      is the quantile of rank p (M + 1), below which a further patch falls with probability p. For fewer
      unseen patches it is the share of samples below their least distance, 1 / (M + 1) if both are alike.
    """
    if not (made.size and unseen.size):
        return dict.fromkeys(USUAL, float("nan"))
    usual = float(np.median(unseen))
    close = np.quantile(unseen, CLOSE, method="weibull")
    ranked = np.sort(unseen)
    above = unseen.size - np.searchsorted(ranked, made, side="right")
    ties = np.searchsorted(ranked, made, side="right") - np.searchsorted(ranked, made, side="left")
    return {
        RATIO: float(np.median(made)) / usual if usual > 0 else float("nan"),
        CLOSER: float((made < close).mean()),
        NEARER: float((above + ties / 2).mean() / unseen.size),
    }
