"""Drawn glands, streams and fields: where their nuclei lie, how many, and how far apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from napari_cosynth.layouts.drawn.structures import (
    Spacing,
    disc,
    drawn_outline,
    filled,
    gland,
    polygon,
    stream,
    stroma,
)

SHAPE = (256, 256)
NOBODY = np.zeros((0, 2))


def test_a_gland_goes_through_the_point_it_was_drawn_to() -> None:
    outline = drawn_outline((120.0, 110.0), (150.0, 150.0), seed=3)
    assert outline.depth(np.array([[150.0, 150.0]]))[0] == pytest.approx(0, abs=1e-9)
    spacing = Spacing(10.0, 7.0)
    ring = gland(outline, spacing, SHAPE, NOBODY, seed=3)
    assert np.abs(outline.depth(ring)).max() < 5  # four times the jitter
    assert pdist(ring).min() >= 7
    angle = np.linspace(0, 2 * np.pi, 2000)
    radius = outline.radius_at(angle)
    curve = np.stack([np.sin(angle), np.cos(angle)], 1) * radius[:, None]
    around = np.hypot(*np.diff(curve, axis=0).T).sum()
    assert 0.85 * around / 10 <= len(ring) <= around / 10 + 1
    np.testing.assert_array_equal(ring, gland(outline, spacing, SHAPE, NOBODY, seed=3))


def test_stroma_lies_in_its_band_and_keeps_from_the_ring() -> None:
    outline = drawn_outline((120.0, 120.0), (120.0, 170.0), seed=1)
    ring = gland(outline, Spacing(10.0, 7.0), SHAPE, NOBODY, seed=1)
    around = stroma(outline, 30.0, 8.0, Spacing(11.0, 7.0), SHAPE, ring, seed=1)
    depth = -outline.depth(around)
    assert depth.min() >= 8 and depth.max() <= 38 and len(around) > 40
    assert cdist(around, ring).min() >= 7 and pdist(around).min() >= 7


@pytest.mark.parametrize("mean", [8.0, 12.0])
def test_a_field_has_its_density(mean: float) -> None:
    inside, box = disc((128.0, 128.0), (128.0, 208.0))
    points = filled(inside, box, Spacing(mean, 0.8 * mean), SHAPE, NOBODY, seed=0)
    assert np.hypot(*(points - 128).T).max() <= 80
    assert pdist(points).min() >= 0.8 * mean
    assert len(points) == pytest.approx(np.pi * 80**2 / mean**2, rel=0.06)


def test_a_field_packs_as_densely_as_darts_can() -> None:
    inside, box = polygon(np.array([[20, 20], [20, 220], [220, 220], [220, 20]]))
    points = filled(inside, box, Spacing(1.0, 10.0), SHAPE, NOBODY, seed=0)
    # Random sequential adsorption of discs of diameter d jams at 0.547 of the area (Feder 1980).
    coverage = len(points) * np.pi * 5**2 / 200**2
    assert 0.48 <= coverage <= 0.6


def test_a_field_leaves_what_is_there_and_what_is_outside_alone() -> None:
    there = np.random.default_rng(0).uniform(0, 255, (60, 2))
    inside, box = polygon(np.array([[-40.0, -40.0], [-40.0, 90.0], [100.0, 20.0]]))
    points = filled(inside, box, Spacing(7.0, 6.0), SHAPE, there, seed=0)
    assert cdist(points, there).min() >= 6
    assert (points >= -0.5).all() and (points < 255.5).all() and len(points) > 20
    off, box = disc((-50.0, -50.0), (-50.0, -30.0))
    assert len(filled(off, box, Spacing(5.0, 4.0), SHAPE, NOBODY, seed=0)) == 0


def test_a_stream_follows_its_stroke_and_is_aligned_with_it() -> None:
    path = np.array([[128.0, x] for x in np.linspace(20, 236, 28)])
    points = stream(path, 48.0, Spacing(9.0, 5.0), SHAPE, NOBODY, seed=2)
    assert np.abs(points[:, 0] - 128).max() <= 24.01
    assert points[:, 1].min() >= 19 and points[:, 1].max() <= 237
    assert len(points) == pytest.approx(216 * 48 / 81, rel=0.12)
    # Farther from the next one along the stroke than across it.
    away = points[None] - points[:, None]
    near = (np.abs(away) < 25).all(-1) & ~np.eye(len(points), dtype=bool)
    beside = near & (np.abs(away[..., 1]) < 3)
    ahead = near & (np.abs(away[..., 0]) < 3)
    across = np.array([np.abs(a[m, 0]).min() for a, m in zip(away, beside, strict=True) if m.any()])
    along = np.array([np.abs(a[m, 1]).min() for a, m in zip(away, ahead, strict=True) if m.any()])
    assert np.median(along) > 1.4 * np.median(across)


def test_a_stream_in_a_bend_keeps_its_distances() -> None:
    angle = np.linspace(0, np.pi, 60)
    path = 128 + 30 * np.stack([np.sin(angle), np.cos(angle)], 1)
    there = np.array([[158.0, 128.0]])
    points = stream(path, 40.0, Spacing(9.0, 5.0), SHAPE, there, seed=2)
    assert pdist(points).min() >= 5 and cdist(points, there).min() >= 5
    radius = np.hypot(*(points - 128).T)
    assert radius.min() >= 8 and radius.max() <= 52


@pytest.mark.parametrize("path", [[[10, 10]], [[10, 10], [10, 10]], [[10, 10], [10, 12]]])
def test_a_click_is_no_stream(path: list[list[float]]) -> None:
    assert len(stream(np.array(path), 20.0, Spacing(9.0, 5.0), SHAPE, NOBODY, seed=0)) == 0
