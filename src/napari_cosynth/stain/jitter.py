"""Stain jitter: haematoxylin and eosin scaled and shifted in optical density."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from skimage.color import hed2rgb, rgb2hed


def jitter_stain(
    image: npt.NDArray[np.uint8], strength: float, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Each stain's density times 1 ± ``strength`` plus ± ``strength``/50 (Tellez et al. 2018).

    ``image`` uint8 (H, W, 3). The densities are those of Ruifrok and Johnston. Strongly stained tissue
    reaches about 0.1 on their scale, hence the small shift.
    """
    stains = rgb2hed(image)
    scale = rng.uniform(1 - strength, 1 + strength, 3)
    shift = rng.uniform(-strength, strength, 3) / 50
    changed = hed2rgb(stains * scale + shift)
    return (changed * 255).round().clip(0, 255).astype(np.uint8)
