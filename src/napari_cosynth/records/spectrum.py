"""Power spectra of images: how much detail there is at each size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from skimage.color import rgb2gray

BANDS = ((1 / 64, 1 / 16), (1 / 16, 1 / 8), (1 / 8, 1 / 4), (1 / 4, 1 / 2))
"""Frequencies in cycles per pixel, from and below: about cells, nuclei, chromatin, grain at 0.5 µm/px."""


def radial_power(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """The radially averaged power spectrum of the grey image in squared grey levels.

    ``image`` uint8 (H, W, 3); float64 (min(H, W) // 2,), bin k at k / min(H, W) cycles per pixel. The
    mean is taken off and a Hann window laid over, so that borders add no false high frequencies;
    white noise has its variance in every bin.
    """
    grey = rgb2gray(image) * 255
    height, width = grey.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    spectrum = np.fft.fft2((grey - grey.mean()) * window)
    power = np.abs(spectrum) ** 2 / (window**2).sum()
    side = min(height, width)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]) * side
    bins = np.rint(radius).astype(np.int64).ravel()
    totals = np.bincount(bins, power.ravel())[: side // 2]
    return np.asarray(totals / np.bincount(bins)[: side // 2], np.float64)


def band_name(low: float, high: float) -> str:
    """``1/64 to 1/16 cycles/px``."""
    return f"1/{1 / low:.0f} to 1/{1 / high:.0f} cycles/px"


def band_power(power: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    """The mean of a spectrum of :func:`radial_power` in each of ``BANDS``, float64 (4,).

    ``side``: the shorter side of its images in pixels. NaN for a band that holds no bin.
    """
    frequency = np.arange(len(power)) / side
    found = np.full(len(BANDS), np.nan)
    for k, (low, high) in enumerate(BANDS):
        inside = (frequency >= low) & (frequency < high)
        if inside.any():
            found[k] = power[inside].mean()
    return found
