from pathlib import Path

import numpy as np
import pytest

from napari_cosynth.slides.pyramid import LARGEST_TILE, check_size, downsampling, read_region


def block_means(image, s):
    h, w = image.shape[0] // s, image.shape[1] // s
    return image[: h * s, : w * s].reshape(h, s, w, s, -1).mean((1, 3)).squeeze()


def centre_of_mass(dark):
    y, x = np.mgrid[: dark.shape[0], : dark.shape[1]]
    return np.array([(y * dark).sum(), (x * dark).sum()]) / dark.sum()


def marked(shape, at, radius):
    """White, with a black disc at ``at``; float, so that its centre of mass is exact."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    away = np.hypot(y - at[0], x - at[1])
    return (255 * (1 - np.clip(radius + 0.5 - away, 0, 1))).astype(np.float32)


@pytest.mark.parametrize("step", [0.5, 1.0, 1.0020, 1.7, 2.0, 3.2, 4.0, 7.3, 8.0])
@pytest.mark.parametrize("origin", [(0.0, 0.0), (13.4, 7.9), (-3.0, 5.5)])
def test_a_marker_lands_in_place_at_every_scale(step, origin):
    """On a canvas pixel k has its centre at origin + k * step, whichever level was read."""
    at = np.array([88.3, 101.6])
    base = marked((203, 230), at, 18)
    levels = [base, *(block_means(base, s) for s in (2, 4))]
    shape = tuple(int(np.ceil((n - o) / step)) for n, o in zip(base.shape, origin, strict=True))
    canvas = read_region(levels, origin, step, shape)
    dark = 255.0 - canvas[..., 0]
    inside = np.hypot(
        *np.meshgrid(
            *(o + step * np.arange(n) - a for o, n, a in zip(origin, shape, at, strict=True)),
            indexing="ij",
        )
    ) < 18 + 3 * max(step, 1)
    found = np.array(origin) + step * centre_of_mass(dark * inside)
    np.testing.assert_allclose(found, at, atol=0.15)


def test_whole_pixels_are_averaged_and_the_same_grid_is_the_same_pixels():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (40, 60, 3), np.uint8)
    np.testing.assert_array_equal(read_region([image], (5, 7), 1, (20, 30)), image[5:25, 7:37])
    # A canvas over the same corners at twice the pixel size: pixel 0 is centred at (2 - 1) / 2.
    coarse = read_region([image], (0.5, 0.5), 2, (20, 30))
    np.testing.assert_allclose(coarse, block_means(image.astype(float), 2), atol=0.51)


def test_the_level_is_read_that_is_no_coarser_than_the_canvas():
    class Level:
        def __init__(self, size):
            self.shape, self.windows = (size, size, 3), []

        def __getitem__(self, window):
            self.windows.append(window)
            return np.zeros((*(w.stop - w.start for w in window), 3), np.uint8)

    levels = [Level(4096), Level(2048), Level(1024)]
    read_region(levels, (100.5, 100.5), 2, (64, 64))
    read_region(levels, (100.5, 100.5), 3.9, (64, 64))
    read_region(levels, (1.5, 1.5), 4, (64, 64))
    assert [len(level.windows) for level in levels] == [0, 2, 1]
    rows = levels[1].windows[0][0]
    assert (rows.start, rows.stop) == (50, 114)  # no more than needed
    assert levels[2].windows[0][0] == slice(0, 64)


def test_beyond_the_slide_it_is_white():
    canvas = read_region([np.zeros((10, 10), np.uint8)], (-4.5, 2), 1.5, (12, 4))
    assert (canvas[:3] == 255).all() and (canvas[4:9] == 0).all() and (canvas[10:] == 255).all()
    assert (read_region([np.zeros((10, 10), np.uint8)], (50, 50), 1, (4, 4)) == 255).all()
    # A finer canvas over the same corners: the outer half of the border's pixels is theirs.
    fine = read_region([np.zeros((10, 10), np.uint8)], (-1.25, -0.25), 0.5, (24, 20))
    assert (fine[2:22] == 0).all() and (fine[:2] == 255).all() and (fine[22:] == 255).all()


@pytest.mark.parametrize(
    ("level", "first", "wanted"),
    [
        ((741, 555), (2967, 2220), 4.0),  # cut off, as Aperio does
        ((742, 555), (2967, 2220), 4.0),  # filled up
        ((2967, 2220), (2967, 2220), 1.0),
        ((48, 64), (96, 128), 2.0),
    ],
)
def test_downsampling_is_the_writers_whole_number(level, first, wanted):
    assert downsampling(level, first) == (wanted, wanted)


def test_downsampling_of_any_other_ratio_is_that_of_the_shapes():
    assert downsampling((400, 300), (1000, 750)) == (2.5, 2.5)


def test_sizes_that_no_slide_has_are_refused_before_anything_is_read():
    path, side = Path("a.tif"), 2**24
    check_size(path, (side, 1, 3), (256, 256, 3))
    check_size(path, (1, side), (side, LARGEST_TILE // side))
    for shape in ((side + 1, 1), (1, side + 1), (0, 4), (4, 0, 3), (4,), (1, 4, 4, 3)):
        with pytest.raises(ValueError, match=r"a\.tif: expected 1 to 16777216 pixels a side"):
            check_size(path, shape, (16, 16))
    for tile, size in (((0, 16), 1), ((side, LARGEST_TILE // side + 1), 1), ((LARGEST_TILE, 1), 2)):
        with pytest.raises(ValueError, match=r"a\.tif: "):
            check_size(path, (16, 16), tile, size)
