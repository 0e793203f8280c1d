"""Realism without a network: haematoxylin where labels have nuclei, texture like real tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi
from scipy.stats import rankdata
from skimage.color import rgb2gray, rgb2hed

from napari_cosynth.evaluation.metrics.quotients import quotient
from napari_cosynth.records.spectrum import band_power

_LEAST_POWER = 1e-6
"""Least power in squared grey levels, below what 8 bits hold, so that a blank image has a spectrum."""


@dataclass(frozen=True)
class Texture:
    """Texture figures of a set of images with their labels."""

    auc: float
    """How well haematoxylin density alone tells nucleus pixels from others (ROC AUC, pooled)."""
    laplacian: float
    """Median absolute Laplacian of the grey background, in grey levels."""
    correlation: tuple[float, float, float]
    """Autocorrelation of the high-passed grey background at lags 1, 2 and 4 pixels."""
    colour: tuple[float, float, float]
    """Mean RGB in grey levels."""


def texture(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> Texture:
    """Texture figures of ``images`` uint8 (N, H, W, 3) with ``labels`` uint8 (N, H, W).

    The background is all pixels more than two pixels from any nucleus. For its autocorrelation it is
    high-passed by a Gaussian of 6 pixels. A figure is NaN if there are no pixels for it.
    """
    nucleus = labels > 0
    haematoxylin = np.stack([rgb2hed(image)[..., 0] for image in images])
    grey = np.stack([rgb2gray(image) * 255 for image in images])
    far = ~ndi.binary_dilation(nucleus, np.ones((1, 5, 5)))
    laplacian = np.stack([np.abs(ndi.laplace(g)) for g in grey])
    fine = np.stack([g - ndi.gaussian_filter(g, 6) for g in grey])

    def correlation(lag: int) -> float:
        both = far[:, :, lag:] & far[:, :, :-lag]
        if not both.any():
            return float("nan")
        a, b = (v[both] - v[both].mean() for v in (fine[:, :, lag:], fine[:, :, :-lag]))
        spread = np.sqrt((a @ a) * (b @ b))
        return round(float((a @ b) / spread), 3) if spread > 0 else float("nan")

    colour = [round(float(v), 1) for v in images.reshape(-1, 3).mean(0)]
    return Texture(
        auc=_auc(haematoxylin[nucleus], haematoxylin[~nucleus]),
        laplacian=float(np.median(laplacian[far])) if far.any() else float("nan"),
        correlation=(correlation(1), correlation(2), correlation(4)),
        colour=(colour[0], colour[1], colour[2]),
    )


def _auc(positive: npt.NDArray[np.float64], negative: npt.NDArray[np.float64]) -> float:
    if not (positive.size and negative.size):
        return float("nan")
    rng = np.random.default_rng(0)
    a, b = (rng.choice(v, min(200_000, v.size), replace=False) for v in (positive, negative))
    ranks = rankdata(np.concatenate([a, b]))
    return float((ranks[: a.size].sum() - a.size * (a.size + 1) / 2) / (a.size * b.size))


def spectral_distance(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """The root mean square difference of two spectra in decibels, without bin 0."""
    decibels = (10 * np.log10(np.maximum(power[1:], _LEAST_POWER)) for power in (a, b))
    return float(np.sqrt(np.mean(np.subtract(*decibels) ** 2)))


def band_ratios(
    made: npt.NDArray[np.float64], real: npt.NDArray[np.float64], side: int
) -> npt.NDArray[np.float64]:
    """The power of ``made`` over ``real`` in each of ``BANDS``; NaN where ``real`` has none.

    ``side``: the shorter side of the images in pixels.
    """
    return quotient(band_power(made, side), band_power(real, side))
