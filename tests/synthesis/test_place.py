"""A region of a real image: what is refused, the part that is read, and its grid; by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_cosynth.geometry.box import Box
from napari_cosynth.synthesis.place import Place, on_grid, part_to_read, working_mpp

IMAGE = np.zeros((30, 40, 3), np.uint8)


def test_a_place_knows_where_it_is(layout):
    place = Place(IMAGE, Box(0, 0, 30, 40))
    assert (place.origin, place.source, place.before) == ((0, 0), "", None)
    for box in (Box(-1, 0, 5, 5), Box(0, 0, 31, 5), Box(0, 3, 5, 41), Box(5, 5, 5, 9)):
        with pytest.raises(ValueError, match=f"rows {box.y0} to {box.y1} and columns {box.x0}"):
            dataclasses.replace(place, region=box)
    for image in (IMAGE.astype(np.uint16), IMAGE[..., 0], IMAGE[..., :2]):
        with pytest.raises(ValueError, match=r"image: expected uint8 \(H, W, 3\)"):
            dataclasses.replace(place, image=image)
    with pytest.raises(ValueError, match="before: expected a canvas"):
        dataclasses.replace(place, before=layout)
    square = Place(np.zeros((64, 64, 3), np.uint8), Box(63, 63, 64, 64), before=layout)
    assert square.before == layout  # one pixel is a region


def test_nearly_the_checkpoint_s_grid_is_taken_for_it():
    assert working_mpp(0.499, 0.5) == working_mpp(0.509, 0.5) == 0.5
    assert working_mpp(0.48, 0.5) == 0.48 and working_mpp(0.52, 0.5) == 0.52


def test_the_part_to_read_is_half_a_window_and_the_context_around():
    # (128 + 48) pixels of 0.5 µm are 352 of 0.25 µm.
    region = Box(1000, 1200, 1010, 1300)
    assert part_to_read(region, (5000, 5000), 0.25, 0.5) == Box(648, 848, 1362, 1652)
    assert part_to_read(region, (1100, 1500), 0.25, 0.5) == Box(648, 848, 1100, 1500)
    assert part_to_read(Box(0, 0, 4, 4), (5000, 5000), 0.499, 0.5) == Box(0, 0, 181, 181)


def test_a_region_on_another_grid_is_the_whole_pixels_that_hold_it():
    assert on_grid(Box(3, 5, 10, 20), (100, 200), (50, 50)) == Box(1, 1, 5, 5)
    assert on_grid(Box(0, 0, 3, 7), (3, 7), (2, 5)) == Box(0, 0, 2, 5)
    assert on_grid(Box(2, 2, 4, 4), (10, 10), (25, 30)) == Box(5, 6, 10, 12)
