"""Conventional augmentation: another image of the same kind, the same for the same generator."""

from __future__ import annotations

import numpy as np

from napari_cosynth.data.distort import distorted
from published import paint


def test_an_image_is_distorted_and_stays_an_image():
    image, instances, _, _ = paint(72, 2, np.random.default_rng(0))
    before = image.copy()
    found = [distorted(image, np.random.default_rng(seed)) for seed in range(20)]
    np.testing.assert_array_equal(image, before)
    for other in found:
        assert other.dtype == np.uint8 and other.shape == image.shape
        nuclei, ground = (other[m].mean() for m in (instances > 0, instances == 0))
        assert nuclei + 30 < ground  # nuclei stay darker
    assert len({other.tobytes() for other in found}) == 20
    again = distorted(image, np.random.default_rng(3))
    np.testing.assert_array_equal(again, found[3])
