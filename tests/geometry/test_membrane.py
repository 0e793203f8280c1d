"""A rectangle joined to what surrounds it, against a sparse solution of Laplace's equation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve

from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.membrane import _membrane, seamless

RNG = np.random.default_rng(0)


def solved(away: np.ndarray, box: Box) -> np.ndarray:
    inside = np.zeros(away.shape[:2], bool)
    inside[box.slices] = True
    return solved_over(away, inside).reshape(*box.shape, 3)


def solved_over(away: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Each pixel of a mask is the mean of its neighbours on the canvas, those outside given."""
    pixels = list(zip(*np.nonzero(inside), strict=True))
    number = {pixel: n for n, pixel in enumerate(pixels)}
    matrix, right = sparse.lil_array((len(pixels), len(pixels))), np.zeros((len(pixels), 3))
    for (y, x), row in number.items():
        for other in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if not (0 <= other[0] < away.shape[0] and 0 <= other[1] < away.shape[1]):
                continue
            matrix[row, row] += 1
            if other in number:
                matrix[row, number[other]] -= 1
            else:
                right[row] += away[other]
    return spsolve(matrix.tocsc(), right)


@pytest.mark.parametrize(
    "box", [Box(3, 4, 12, 17), Box(0, 4, 12, 17), Box(3, 0, 15, 20), Box(9, 11, 15, 20)]
)
def test_it_is_the_harmonic_continuation(box):
    away = RNG.normal(size=(15, 20, 3))
    np.testing.assert_allclose(_membrane(away, box), solved(away, box), atol=1e-9)


def test_a_constant_difference_moves_all_of_it_and_a_fine_one_stays_at_the_border():
    made = RNG.integers(60, 180, (40, 40, 3)).astype(np.uint8)
    box = Box(10, 12, 30, 34)
    np.testing.assert_array_equal(seamless(made, made + 20, box), made[box.slices] + 20)
    free = np.indices(box.shape).sum(0) % 3 > 0
    for white, new in ((255, 250), (0, 5)):  # as far as a byte goes, and no further
        flat = np.full_like(made, new)
        flat[15, 20] = white
        for part in (None, free):
            joined = seamless(flat, np.full_like(made, white), box, part)
            np.testing.assert_array_equal(joined, white)
    chequered = (np.indices((40, 40)).sum(0) % 2 * 20 - 10).astype(np.int16)[..., None]
    real = (made + chequered).astype(np.uint8)
    moved = seamless(made, real, box).astype(int) - made[box.slices]
    assert np.abs(moved[0]).max() >= 3 and np.abs(moved[4:-4, 4:-4]).max() == 0


def test_what_lies_in_the_box_of_the_real_image_does_not_count():
    made, real = RNG.integers(0, 255, (2, 30, 30, 3)).astype(np.uint8)
    box, other = Box(5, 5, 25, 20), real.copy()
    other[box.slices] = 0
    np.testing.assert_array_equal(seamless(made, real, box), seamless(made, other, box))


def test_an_image_that_is_all_box_stays():
    made, real = RNG.integers(0, 255, (2, 30, 30, 3)).astype(np.uint8)
    np.testing.assert_array_equal(seamless(made, real, Box(0, 0, 30, 30)), made)


def test_a_mask_in_the_box_is_joined_to_what_is_held_there_too():
    made, real = RNG.integers(100, 140, (2, 18, 22, 3)).astype(np.uint8)
    box = Box(0, 4, 15, 22)
    free = RNG.random(box.shape) < 0.6
    inside = np.zeros((18, 22), bool)
    inside[box.slices] = free
    joined = seamless(made, real, box, free)
    np.testing.assert_array_equal(joined[~free], real[box.slices][~free])
    away = real.astype(float) - made
    wanted = made[inside] + solved_over(away, inside)
    np.testing.assert_allclose(joined[free], wanted, atol=0.5 + 1e-9)
    whole = seamless(made, real, box, np.ones(box.shape, bool))
    np.testing.assert_array_equal(whole, seamless(made, real, box))
