"""Conventional augmentation: another image of the same kind, the same for the same generator."""

from __future__ import annotations

import numpy as np

from napari_cosynth.records.distort import distorted
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


def test_half_of_the_draws_are_noisy():
    """On one colour, where blur changes nothing and a shift of stains leaves one colour."""
    plain = np.full((40, 40, 3), (200, 140, 190), np.uint8)
    spread = [
        distorted(plain, np.random.default_rng(seed)).std((0, 1)).max() for seed in range(200)
    ]
    noisy = np.array(spread) > 0.3
    assert 0.35 < noisy.mean() < 0.6
    assert 2 < np.array(spread)[noisy].mean() < 6 and max(spread) < 10


def test_half_of_the_draws_are_blurred():
    """By the mean profile across an edge, from which noise is averaged out."""
    edge = np.full((400, 20, 3), (200, 140, 190), np.uint8)
    edge[:, 10:] = (90, 60, 130)
    soft = []
    for seed in range(120):
        profile = distorted(edge, np.random.default_rng(seed)).astype(float).mean((0, 2))
        low, high = profile[:5].mean(), profile[-5:].mean()
        soft.append(abs((profile[9] - low) / (high - low)))
    # A Gaussian of 0.5 px puts a tenth of the step on the pixel before it; sigma is uniform below 1.
    assert 0.15 < (np.array(soft) > 0.1).mean() < 0.45
    assert max(soft) < 0.4


def test_every_draw_shifts_the_stains():
    plain = np.full((24, 24, 3), (200, 140, 190), np.uint8)
    means = np.array(
        [distorted(plain, np.random.default_rng(seed)).mean((0, 1)) for seed in range(40)]
    )
    moved = np.abs(means - plain[0, 0]).max(1)
    assert np.median(moved) > 2 and (moved > 0.5).mean() > 0.9
    assert (means.std(0) > 1).all() and (np.abs(means.mean(0) - plain[0, 0]) < 15).all()
