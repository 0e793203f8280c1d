"""Edited slides as files: a pyramid that other programs read, the image's pixels but for the patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_cosynth.geometry.box import Box
from napari_cosynth.slides.slide import open_slide
from napari_cosynth.slides.written import Patch, write_with_patches

SHAPE = (1301, 2310)
RNG = np.random.default_rng(0)


def patch(y: int, x: int, height: int, width: int) -> Patch:
    pixels = RNG.integers(0, 256, (height, width, 3)).astype(np.uint8)
    return Patch(Box(y, x, y + height, x + width), pixels)


def test_a_pyramid_with_the_patches_in_place_and_all_else_as_it_was(tmp_path: Path) -> None:
    image = RNG.integers(0, 256, (*SHAPE, 4)).astype(np.uint8)
    patches = [patch(200, 300, 100, 280), patch(1290, 2300, 11, 10)]
    told: list[float] = []
    write_with_patches(tmp_path / "out.ome.tif", image, patches, 0.2514, told.append)
    wanted = image[..., :3].copy()
    for one in patches:
        wanted[one.region.slices] = one.pixels
    slide = open_slide(tmp_path / "out.ome.tif")
    assert slide.mpp == pytest.approx(0.2514) and slide.facts.stored == 3
    np.testing.assert_array_equal(slide.levels[0], wanted)
    for coarse, fine in zip(slide.levels[1:], slide.levels, strict=False):
        h, w = coarse.shape[:2]
        four = np.asarray(fine)[: 2 * h, : 2 * w].reshape(h, 2, w, 2, 3).astype(float)
        assert (h, w) == (fine.shape[0] // 2, fine.shape[1] // 2)
        assert np.abs(np.asarray(coarse) - four.mean((1, 3))).max() <= 0.5
    assert told == sorted(told) and told[-1] == 1
    with tifffile.TiffFile(tmp_path / "out.ome.tif") as tif:
        assert tif.is_ome and len(tif.series) == 1 and 'PhysicalSizeXUnit="µm"' in tif.ome_metadata
    assert [p.name for p in tmp_path.iterdir()] == ["out.ome.tif"]


def test_what_cannot_be_is_refused_and_what_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    image = np.zeros((600, 600, 3), np.uint8)

    def write(*patches: Patch) -> None:
        write_with_patches(tmp_path / "out.tif", image, patches, 0.5)

    with pytest.raises(ValueError, match="patches overlap: rows 39 to 49"):
        write(patch(30, 30, 10, 10), patch(39, 39, 10, 10))
    with pytest.raises(ValueError, match="expected a part of 600 x 600 pixels, got rows 595"):
        write(patch(595, 0, 10, 10))
    with pytest.raises(ValueError, match=r"expected uint8 \(5, 5, 3\)"):
        Patch(Box(0, 0, 5, 5), np.zeros((5, 4, 3), np.uint8))

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_with_patches(tmp_path / "out.tif", image, [], 0.5, stop)
    assert not list(tmp_path.iterdir())
