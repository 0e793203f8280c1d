"""Conventional augmentation of an image's colours and sharpness; labels are not touched."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi

from napari_cosynth.stain.jitter import jitter_stain

STAIN = 0.15
"""Strength of :func:`~napari_cosynth.stain.jitter.jitter_stain`."""
LARGEST_BLUR = 1.0
"""Largest sigma of the blur, in pixels."""
LARGEST_NOISE = 8.0
"""Largest standard deviation of the noise, in grey levels."""


def distorted(image: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """An image, uint8 (H, W, 3), with its stains jittered, and blur and noise in half of the draws each.

    Together with flips and quarter turns this is HoVer-Net's published augmentation without its shear
    and zoom (Graham et al. 2019, section 3.4).
    """
    values = jitter_stain(image, STAIN, rng).astype(np.float32)
    if rng.random() < 0.5:
        sigma = rng.uniform(0, LARGEST_BLUR)
        values = ndi.gaussian_filter(values, (sigma, sigma, 0))
    if rng.random() < 0.5:
        values += rng.normal(0, rng.uniform(0, LARGEST_NOISE), values.shape).astype(np.float32)
    return values.round().clip(0, 255).astype(np.uint8)
