import numpy as np
import pytest

from napari_cosynth.geometry.raster import point_map
from napari_cosynth.layouts.drawn.patterns import (
    PATTERNS,
    SPACING,
    Canvas,
    bundled_layouts,
    gland_ring,
)
from napari_cosynth.types.classes import BUNDLED


@pytest.mark.parametrize("name", PATTERNS)
def test_bundled_layout_is_what_its_generator_draws(name):
    bundled, (_, tissue, draw) = bundled_layouts()[name], PATTERNS[name]
    drawn = draw()
    assert bundled.tissue == tissue
    assert bundled.layout.shape == (256, 256)
    assert bundled.layout.mpp == 0.5
    np.testing.assert_array_equal(bundled.layout.class_ids, drawn.class_ids)
    np.testing.assert_allclose(bundled.layout.centroids, drawn.centroids)


@pytest.mark.parametrize("name", PATTERNS)
def test_nuclei_keep_their_distance(name):
    layout = bundled_layouts()[name].layout
    point_map(layout)  # raises where two share a pixel
    reach = np.array([SPACING.get(n, 0.0) for n in BUNDLED.names])[layout.class_ids]
    least = (reach[:, None] + reach) / 2
    away = np.linalg.norm(layout.centroids[:, None] - layout.centroids, axis=-1)
    np.fill_diagonal(away, np.inf)
    assert (away >= least - 0.02).all()  # rounding to two decimals
    assert 100 <= len(layout) <= 650


def test_seed_decides_the_layout():
    np.testing.assert_array_equal(gland_ring(3).centroids, gland_ring(3).centroids)
    assert not np.array_equal(gland_ring(3).centroids[:9], gland_ring(4).centroids[:9])


def test_a_point_that_rounds_onto_the_rim_is_left_out():
    canvas = Canvas(0)
    canvas.place(np.array([[11.46, 255.497], [40.0, 255.494]]), "inflammatory")
    np.testing.assert_allclose(canvas.layout().centroids, [[40.0, 255.49]])
