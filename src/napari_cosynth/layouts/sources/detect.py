"""Detection of nuclei in an H&E image without a trained network: stain separation, then blobs.

Haematoxylin is separated by colour deconvolution (Ruifrok and Johnston 2001). Nuclei are the local maxima
of its scale-normalised Laplacian of Gaussian, over place and size (Lindeberg 1998), where the stain is
above Otsu's threshold (1979). ``benchmarks/detector.py`` measures recall and precision on real tiles:
docs/results/detector.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.transform import resize, resize_local_mean

from napari_cosynth.stain.haematoxylin import haematoxylin

GRID_MPP = 0.5
"""µm/px that the image is resampled to; finer grids find no more."""
_FAINT = 0.02
"""Least haematoxylin of a nucleus, on scikit-image's scale; empty glass and pale stroma are below it."""


@dataclass(frozen=True)
class Detector:
    """Settings of the detector, chosen by ``benchmarks/detector.py --choose`` without held-out tiles."""

    radii: tuple[float, ...] = (2.5, 3.2)
    """Radii of blobs in µm."""
    apart: float = 1.5
    """Least distance between two nuclei in µm."""
    threshold: float = 0.25
    """Least response, as a part of the 95th percentile of the peaks' responses."""
    blur: float = 1.5
    """σ in µm of the blur of haematoxylin before it is compared with Otsu's threshold."""


def detectable(mpp: float) -> bool:
    """Whether nuclei can be detected at this µm/px."""
    return 0.05 <= mpp <= 2


def detect_nuclei(
    image: npt.NDArray[np.uint8], mpp: float, detector: Detector | None = None
) -> npt.NDArray[np.float32]:
    """Centroids of nuclei, float32 (N, 2), (y, x) in the image's pixels, strongest first.

    ``image`` is uint8 (H, W, 3) at ``mpp`` µm/px. Raises ValueError where it is no RGB image, or where
    ``mpp`` is outside 0.05 to 2.
    """
    detector = detector or Detector()
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image: expected uint8 (H, W, 3), got {image.dtype} {image.shape}")
    if not detectable(mpp):
        raise ValueError(f"mpp: expected 0.05 to 2 µm/px to see nuclei, got {mpp:g}")
    stain = haematoxylin(_resampled(image, mpp / GRID_MPP))
    response = np.full(stain.shape, -np.inf, np.float32)
    for radius in detector.radii:
        sigma = radius / GRID_MPP / np.sqrt(2)
        response = np.maximum(response, -(sigma**2) * ndi.gaussian_laplace(stain, sigma))
    peaks = peak_local_max(
        response, min_distance=max(1, round(detector.apart / GRID_MPP)), exclude_border=False
    )
    at = tuple(peaks.T)
    around = ndi.gaussian_filter(stain, detector.blur / GRID_MPP)
    dark = around[at] > max(float(threshold_otsu(around)), _FAINT)
    strength = response[at]
    typical = float(np.percentile(strength, 95)) if len(strength) else 0.0
    kept = dark & (strength > max(detector.threshold * typical, 0.0))
    order = np.argsort(-strength[kept], kind="stable")
    ratio = np.array(stain.shape) / np.array(image.shape[:2])
    found = (peaks[kept][order] + 0.5) / ratio - 0.5
    return np.asarray(found, np.float32).reshape(-1, 2)


def _resampled(image: npt.NDArray[np.uint8], factor: float) -> npt.NDArray[np.uint8]:
    if abs(factor - 1) < 0.02:
        return image
    shape = tuple(max(1, round(n * factor)) for n in image.shape[:2])
    if factor < 1:
        small = resize_local_mean(image, shape, channel_axis=2, preserve_range=True)
    else:
        small = resize(image, (*shape, 3), order=1, preserve_range=True)
    return np.asarray(small.round().clip(0, 255), np.uint8)
