"""Power spectra of images: the amount of detail at each size."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from skimage.color import rgb2gray

BANDS = ((1 / 64, 1 / 16), (1 / 16, 1 / 8), (1 / 8, 1 / 4), (1 / 4, 1 / 2))
"""Bands of frequencies in cycles per pixel, each from its first number to below its second.

At 0.5 µm/px they are about the sizes of cells, nuclei, chromatin and grain.
"""

GREY = (0.2125, 0.7154, 0.0721)
"""Weights of red, green and blue in a grey level, those of scikit-image."""


def radial_power(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """The radially averaged power spectrum of the grey image in squared grey levels.

    ``image`` uint8 (H, W, 3). Returns float64 (min(H, W) // 2,); bin k is at k / min(H, W) cycles per
    pixel. The mean is subtracted and a Hann window applied, so that borders add no false high
    frequencies. White noise has its variance in every bin.
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
    """The name of a band, such as ``1/64 to 1/16 cycles/px``."""
    return f"1/{1 / low:.0f} to 1/{1 / high:.0f} cycles/px"


def band_power(power: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    """The mean of a spectrum of :func:`radial_power` in each of ``BANDS``, float64 (4,).

    ``side``: the shorter side of the image in pixels. NaN for a band that holds no bin.
    """
    frequency = np.arange(len(power)) / side
    found = np.full(len(BANDS), np.nan)
    for k, (low, high) in enumerate(BANDS):
        inside = (frequency >= low) & (frequency < high)
        if inside.any():
            found[k] = power[inside].mean()
    return found


@lru_cache(4)
def band_shares(side: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The weights by which :func:`band_power` of a square image is computed, for its gradient.

    Returns the Hann window, float64 (N, N), and the share of each frequency in each band's mean, float64
    (4, N, N). Below N = 32 the coarsest band holds no frequency and is left out.
    """
    bell = np.hanning(side)
    line = np.fft.fftfreq(side)
    bins = np.rint(np.hypot(line[:, None], line[None]) * side).astype(np.int64)
    counts = np.bincount(bins.ravel())
    frequency = bins / side
    shares = []
    for low, high in BANDS:
        inside = (frequency >= low) & (frequency < high) & (bins < side // 2)
        if inside.any():
            share = np.where(inside, 1 / counts[bins], 0.0)
            shares.append(share / share.sum())
    return np.outer(bell, bell), np.stack(shares)
