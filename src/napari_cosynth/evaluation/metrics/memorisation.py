"""Whether samples are copies: how near the nearest training patch lies, against unseen real ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Floats = npt.NDArray[np.float64]

CLOSE = 0.05
"""The share of unseen real patches that count as close to a training patch."""
RATIO, CLOSER, NEARER = (
    "median ratio",
    "closer than the closest 5 % of unseen",
    "nearer than an unseen patch",
)
USUAL = {RATIO: 1.0, CLOSER: CLOSE, NEARER: 0.5}
"""What samples that are like unseen real patches have."""


def nearest_distances(features: npt.ArrayLike, training: npt.ArrayLike) -> Floats:
    """Each row's Euclidean distance to its nearest training patch, float64 (N,); (N, F), (M, F)."""
    tree = cKDTree(np.asarray(training, np.float64))
    return np.asarray(tree.query(np.asarray(features, np.float64))[0], np.float64)


def closeness(made: Floats, unseen: Floats) -> dict[str, float]:
    """Samples' ``nearest_distances`` (N,) against those (M,) of real patches that were not trained on.

    Every distance is to the same training patches, so N and M may differ. ``median ratio`` is 1 where
    samples lie as far from training patches as unseen real ones do, and falls towards 0 with copies.
    ``nearer than an unseen patch`` is the share of pairs in which the sample is the nearer (a tie
    counts half): 0.5 where both are alike, whatever N and M, and 1 with copies. ``closer than the
    closest 5 % of unseen`` is then 0.05 from 19 unseen patches on (the quantile of rank p (M + 1), below
    which a further patch falls with probability p); of fewer it is the share below their least, 1 / (M +
    1). NaN where either is empty.
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
