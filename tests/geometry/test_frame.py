"""A canvas in the one that the network sees."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cosynth.geometry.frame import MARGIN, Frame


@pytest.mark.parametrize(
    "shape, padded",
    [
        ((256, 256), (272, 272)),
        ((200, 300), (224, 320)),
        ((1, 48), (64, 64)),
        ((240, 49), (256, 80)),
    ],
)
def test_a_margin_on_every_side_and_multiples(
    shape: tuple[int, int], padded: tuple[int, int]
) -> None:
    frame = Frame(shape, 16)
    assert frame.padded == padded
    box = frame.box
    assert box.shape == shape
    assert min(box.y0, box.x0, padded[0] - box.y1, padded[1] - box.x1) >= MARGIN


def test_what_is_cut_is_what_was_padded() -> None:
    frame = Frame((20, 90), 8)
    array = np.random.default_rng(0).integers(1, 255, (20, 90, 3), np.uint8)
    padded = frame.pad(array)
    assert padded.shape == (*frame.padded, 3) and padded.dtype == np.uint8
    assert padded.sum() == array.sum()  # zeros around it
    np.testing.assert_array_equal(frame.cut(padded), array)
    assert frame.cut(padded).flags.owndata
