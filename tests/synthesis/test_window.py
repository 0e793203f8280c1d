"""A window's part of a canvas and its margin, against the whole canvas with its margin."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cosynth.geometry.box import Box
from napari_cosynth.synthesis.window import Window


@pytest.mark.parametrize("seed", range(20))
def test_crop_mask_and_paste_are_those_of_the_padded_canvas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width, y, x, h, w = (int(n) for n in rng.integers(20, 300, 6))
    y, x = min(y, height - 1), min(x, width - 1)
    window = Window.around(Box(y, x, y + h, x + w), (height, width), 16, 32, 128)
    canvas = rng.integers(1, 255, (height, width, 3), np.uint8)
    shown = window.frame.pad(canvas)[window.shown.slices]
    np.testing.assert_array_equal(window.crop(canvas), shown)
    free = np.zeros((height, width), bool)
    free[window.free.slices] = True
    known = window.frame.pad(~free)[window.shown.slices]
    np.testing.assert_array_equal(window.mask, known)
    np.testing.assert_array_equal(window.paste(window.crop(canvas), canvas), canvas)
    assert not (np.array(window.shown.shape) % 16).any()
