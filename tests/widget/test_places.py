"""Results back in their place to half a pixel: markers through region, canvas and result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.files.readers import slide_reader
from napari_cosynth.widget.layers.placement import Placement
from napari_cosynth.widget.layers.region import image_region, slide_pixels


@pytest.fixture
def viewer() -> ViewerModel:
    """Layers without a window: these tests are about where things lie."""
    return ViewerModel()


MARKS = np.array([(150.0, 130.0), (210.0, 300.0), (333.0, 188.0)])
RADIUS = 14


def marked(shape: tuple[int, int], mark: np.ndarray) -> np.ndarray:
    """White with one black disc, uint8 RGB."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    dark = np.clip(RADIUS + 0.5 - np.hypot(y - mark[0], x - mark[1]), 0, 1)
    return np.repeat((255 * (1 - dark)).round().astype(np.uint8)[..., None], 3, axis=2)


def block_means(image: np.ndarray, s: int) -> np.ndarray:
    h, w = image.shape[0] // s, image.shape[1] // s
    blocks = image[: h * s, : w * s].reshape(h, s, w, s, 3).astype(float)
    return blocks.mean((1, 3)).round().astype(np.uint8)


def draw(viewer: ViewerModel, slide: Any, low: Any, high: Any) -> Any:
    """A rectangle on pixel corners of the slide."""
    (y0, x0), (y1, x1) = low, high
    return viewer.add_shapes(
        [np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)]) - 0.5],
        shape_type="rectangle",
        scale=slide.scale,
        translate=slide.translate,
        units=slide.units,
    )


def mark_in(picture: np.ndarray) -> np.ndarray:
    """The dark disc's centre of mass, in the picture's pixels."""
    dark = 255.0 - picture[..., 0]
    y, x = np.mgrid[: dark.shape[0], : dark.shape[1]]
    return np.array([(y * dark).sum(), (x * dark).sum()]) / dark.sum()


def shown(viewer: ViewerModel, slide: Any, placement: Placement) -> Any:
    """What a result is: the canvas' pixels as a layer at the canvas' place."""
    picture = slide_pixels(slide, placement)()
    return viewer.add_image(picture, name="result", rgb=True, **placement.layer_kwargs)


# Slide's µm/px, the model's: finer, alike, coarser, and far from any whole ratio.
SCALES = [(0.25, 0.5), (0.499, 0.5), (0.5, 0.5), (1.0, 0.5), (0.25, 0.33), (0.25, 1.7)]


@pytest.mark.parametrize(("slide_mpp", "mpp"), SCALES)
@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("pyramid", [False, True])
def test_a_marker_comes_back_to_half_a_pixel(
    viewer: ViewerModel, slide_mpp: float, mpp: float, mark: np.ndarray, pyramid: bool
) -> None:
    base = marked((480, 400), mark)
    levels = [base, block_means(base, 2), block_means(base, 4)]
    place = {"scale": (slide_mpp, slide_mpp), "units": ("µm", "µm"), "translate": (-7, 31.3)}
    data = levels if pyramid else base
    slide = viewer.add_image(data, rgb=True, name="slide", multiscale=pyramid, **place)
    draw(viewer, slide, (101, 83), (397, 361))
    found = image_region(viewer, mpp, lambda _: pytest.fail("asked"))
    assert found is not None and found[0] is slide
    result = shown(viewer, slide, found[1])
    wanted = np.array(slide.data_to_world(mark))
    at = np.array(result.data_to_world(mark_in(result.data)))
    assert np.abs(at - wanted).max() < slide_mpp / 2


@pytest.mark.parametrize("s", [2, 4, 8])
def test_a_result_at_a_levels_own_pixels_covers_them(viewer: ViewerModel, s: int) -> None:
    """A canvas with the µm/px of a level has that level's pixels, moved by (s - 1) / 2."""
    base = marked((480, 400), MARKS[0])
    levels = [base, *(block_means(base, n) for n in (2, 4, 8))]
    place = {"scale": (0.25, 0.25), "units": ("µm", "µm")}
    slide = viewer.add_image(levels, rgb=True, name="slide", multiscale=True, **place)
    draw(viewer, slide, (64, 64), (320, 320))
    found = image_region(viewer, 0.25 * s, lambda _: None)
    assert found is not None
    placement = found[1]
    np.testing.assert_allclose(placement.origin, 0.25 * (64 + (s - 1) / 2))
    picture = slide_pixels(slide, placement)()
    level = levels[[1, 2, 4, 8].index(s)]
    np.testing.assert_array_equal(picture, level[64 // s : 320 // s, 64 // s : 320 // s])
    # The level as a layer of its own, as method.md places it, and the result agree.
    alone = viewer.add_image(
        level,
        rgb=True,
        scale=(0.25 * s,) * 2,
        translate=(0.25 * (s - 1) / 2,) * 2,
        units=("µm",) * 2,
    )
    result = viewer.add_image(picture, rgb=True, **placement.layer_kwargs)
    wanted, at = alone.data_to_world(mark_in(level)), result.data_to_world(mark_in(picture))
    np.testing.assert_allclose(at, wanted, atol=1e-6)
    np.testing.assert_allclose(at, slide.data_to_world(MARKS[0]), atol=0.25 / 2)


@pytest.mark.parametrize("factor", [0.5, 2.0, 1.4])
def test_a_result_on_another_grid_than_the_layouts_stays_in_place(
    viewer: ViewerModel, factor: float
) -> None:
    slide = viewer.add_image(
        marked((480, 400), MARKS[0]), rgb=True, name="slide", scale=(0.5, 0.5), units=("µm", "µm")
    )
    draw(viewer, slide, (101, 83), (241, 223))
    found = image_region(viewer, 0.5, lambda _: None)
    assert found is not None
    drawn = found[1]
    shape = (round(drawn.shape[0] / factor), round(drawn.shape[1] / factor))
    result = shown(viewer, slide, drawn.at_mpp(0.5 * factor, shape))
    at = np.array(result.data_to_world(mark_in(result.data)))
    assert np.abs(at - slide.data_to_world(MARKS[0])).max() < 0.25


@pytest.mark.parametrize("low", [(0, 0), (1000, 800), (2500, 1900)])
@pytest.mark.parametrize("mpp", [0.25, 0.499, 0.5, 1.0])
def test_regions_of_the_real_slide_at_several_magnifications(
    data_root: Path, viewer: ViewerModel, low: tuple[int, int], mpp: float
) -> None:
    path = data_root / "slides" / "CMU-1-Small-Region.svs"
    (slide,) = [viewer._add_layer_from_data(*x)[0] for x in slide_reader(str(path))(str(path))]
    mark = np.array(low) + np.array([130, 170])
    window = tuple(slice(v, v + 300) for v in low)
    real = slide.data[window].copy()
    slide.data = slide.data.copy()
    y, x = np.mgrid[low[0] : low[0] + 300, low[1] : low[1] + 300]
    y, x = (v[: real.shape[0], : real.shape[1]] for v in (y, x))
    slide.data[window][np.hypot(y - mark[0], x - mark[1]) <= RADIUS] = 0
    draw(viewer, slide, low, (low[0] + 256, low[1] + 256))
    found = image_region(viewer, mpp, lambda _: None)
    assert found is not None
    result = shown(viewer, slide, found[1])
    # The tissue is dark too: what the marker made darker is the marker.
    slide.data[window] = real
    before = slide_pixels(slide, found[1])().astype(float)
    dark = (before - result.data).clip(0)
    weight = dark / np.maximum(before, 1)
    at = result.data_to_world(mark_in(255 * (1 - weight)))
    assert np.abs(np.array(at) - slide.data_to_world(mark)).max() < slide.scale[0] / 2


def test_ome_zarr_opens_as_a_folder_with_its_labels(panel: CoSynthPanel, tmp_path: Path) -> None:
    from slides import ome_zarr

    image = np.moveaxis(marked((256, 256), np.array([100.0, 90.0])), -1, 0)
    nuclei = np.zeros((256, 256), np.int32)
    nuclei[90:110, 80:100] = 1
    path = ome_zarr(
        tmp_path / "a.ome.zarr",
        [image, image[:, ::2, ::2]],
        version="0.5",
        labels={"nuclei": [nuclei, nuclei[::2, ::2]]},
        translation=(5, 6),
    )
    slide, labels = panel.viewer.open(str(path), plugin="napari-cosynth")
    assert slide.multiscale and slide.rgb and labels.multiscale
    for layer in (slide, labels):
        np.testing.assert_allclose(layer.scale, 0.25)
        np.testing.assert_allclose(layer.translate, (5, 6))
        assert str(layer.units[0]) == "micrometer"
    assert list(labels.features["class"]) == ["", "inflammatory"]
    panel.viewer.layers.selection.active = labels
    panel.layout_controls.sources.from_labels.native.click()
    points = panel.layout_controls.points
    assert list(points.features["class"]) == ["inflammatory"]
    np.testing.assert_allclose(
        points.data_to_world(points.data[0]), labels.data_to_world((99.5, 89.5)), atol=1e-4
    )


def test_napari_draws_a_coarse_level_where_the_fine_one_is(panel: CoSynthPanel) -> None:
    """Levels share their corner on the screen too, so a result lies on what is seen of its region."""
    base = marked((1600, 1600), np.array([700.0, 900.0]))
    base[base[..., 0] < 255] = 0
    big = np.repeat(np.repeat(base[600:1000, 700:1100], 4, 0), 4, 1)  # a disc of 56 pixels' radius
    place = {"rgb": True, "scale": (0.25, 0.25), "units": ("µm", "µm")}
    levels = [big, *(block_means(big, s) for s in (2, 4, 8))]
    coarse = panel.viewer.add_image(levels, multiscale=True, name="coarse", **place)
    fine = panel.viewer.add_image(big, name="fine", **place)
    panel.viewer.window.show()
    panel.viewer.reset_view()
    panel.viewer.camera.zoom /= 3
    seen = []
    for layer in (coarse, fine):
        coarse.visible, fine.visible = layer is coarse, layer is fine
        seen.append(panel.viewer.screenshot(flash=False)[..., :3])
    assert coarse.data_level > 0
    white = np.argwhere(seen[1][..., 0] > 200)  # beside the image the canvas is dark as well
    (y0, x0), (y1, x1) = white.min(0) + 2, white.max(0) - 1
    marks = [mark_in(picture[y0:y1, x0:x1]) for picture in seen]
    assert np.abs(marks[0] - marks[1]).max() < 0.25  # of a pixel of the screen
