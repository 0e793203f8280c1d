"""Canvases over slides: the right place, scale and units; points from labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QRadioButton

from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.frame import FRAME
from napari_cosynth.widget.layout import layout_sources

SLIDE_MPP = 0.499


@pytest.fixture
def slide(panel: CoSynthPanel) -> Any:
    pixels = np.full((400, 300, 3), 230, np.uint8)
    return panel.viewer.add_image(
        pixels, name="slide", scale=(SLIDE_MPP, SLIDE_MPP), units=("µm", "µm"), translate=(10, 20)
    )


def draw(
    panel: CoSynthPanel, slide: Any, low: tuple[float, float], high: tuple[float, float]
) -> Any:
    """A rectangle whose corners are pixel corners of the slide."""
    (y0, x0), (y1, x1) = low, high
    return panel.viewer.add_shapes(
        [np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)]) - 0.5],
        shape_type="rectangle",
        scale=slide.scale,
        translate=slide.translate,
        units=slide.units,
    )


def world_corners(layer: Any, shape: tuple[int, int]) -> np.ndarray:
    return np.array([layer.data_to_world((-0.5, -0.5)), layer.data_to_world(np.array(shape) - 0.5)])


def test_a_region_becomes_a_canvas_in_its_place(
    panel: CoSynthPanel, slide: Any, qtbot: Any
) -> None:
    draw(panel, slide, (40, 60), (140, 124))
    panel.layout_controls.sources.from_region.native.click()
    points = panel.layout_controls.points
    shape = tuple(points.metadata["cosynth"]["shape"])
    assert shape == (round(100 * SLIDE_MPP / 0.5), round(64 * SLIDE_MPP / 0.5))
    np.testing.assert_allclose(points.scale, 0.5)
    assert points.units == slide.units
    wanted = [slide.data_to_world((39.5, 59.5)), slide.data_to_world((139.5, 123.5))]
    np.testing.assert_allclose(world_corners(points, shape), wanted, atol=0.26)
    np.testing.assert_allclose(world_corners(points, shape)[0], wanted[0], atol=1e-9)
    # The window shows the canvas, not the whole slide with a stamp on it.
    corners, camera = world_corners(points, shape), panel.viewer.scene.camera
    np.testing.assert_allclose(camera.center[-2:], corners.mean(0))
    shown = np.ptp(corners, axis=0) * camera.zoom / np.array(panel.viewer.canvas.size)
    assert 0.5 < shown.max() <= 1
    # The white rectangle would lie over what is made there; a line of its own shows the canvas.
    assert not panel.viewer.layers["Shapes"].visible
    frame = points._overlays[FRAME]
    low, high = (points.data_to_world(corner) for corner in frame.bounds)
    np.testing.assert_allclose([low, high], corners)
    assert frame.visible
    words = panel.viewer.canvas.overlays.text
    assert words.visible and words.text.startswith(f"canvas {shape[0] / 2:g} × {shape[1] / 2:g} µm")
    points.add([[30, 30]])
    before = np.asarray(slide.data).copy()
    panel.bar.synthesise.native.click()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=60_000)
    (group,) = results.groups(panel.viewer).values()
    for layer in group.values():
        np.testing.assert_allclose(layer.translate, points.translate)
        np.testing.assert_allclose(layer.scale, points.scale)
        assert layer.units == slide.units
    np.testing.assert_array_equal(np.asarray(slide.data), before)
    panel.viewer.layers.remove(points)
    assert not words.visible


def test_a_new_layout_lies_where_one_looks_at_the_slide(panel: CoSynthPanel, slide: Any) -> None:
    camera, controls = panel.viewer.scene.camera, panel.layout_controls
    middle, corner = slide.data_to_world((200, 180)), slide.data_to_world((2, 3))
    for seen in (middle, corner):
        camera.center = (0, *seen)
        controls.new.native.click()
        corners = world_corners(controls.points, (64, 64))
        np.testing.assert_allclose(np.ptp(corners, axis=0), 32)  # 64 pixels of 0.5 µm
        if seen is middle:
            np.testing.assert_allclose(corners.mean(0), middle)
        else:  # wholly on the slide
            np.testing.assert_allclose(corners[0], slide.extent.world[0])
    camera.center = (0, -500, -500)
    controls.new.native.click()
    np.testing.assert_allclose(controls.points.data_to_world((0, 0)), (0, 0))


def test_of_several_regions_the_one_that_became_a_canvas_is_seen_through(
    panel: CoSynthPanel, slide: Any
) -> None:
    shapes = draw(panel, slide, (40, 60), (140, 124))
    shapes.add_rectangles([np.array([(150, 150), (150, 220), (220, 220), (220, 150)])])
    shapes.selected_data = {0}
    panel.viewer.layers.selection.active = shapes
    panel.layout_controls.sources.from_region.native.click()
    assert shapes.visible and list(shapes.face_color[:, 3] > 0) == [False, True]


def test_words_of_the_user_in_the_window_stay(panel: CoSynthPanel) -> None:
    words = panel.viewer.canvas.overlays.text
    words.text, words.visible = "mine", True
    panel.layout_controls.new.native.click()
    assert words.text == "mine" and words.visible


def test_napari_shows_that_a_click_on_a_new_canvas_adds_a_point(panel: CoSynthPanel) -> None:
    panel.layout_controls.new.native.click()
    points = panel.layout_controls.points
    buttons = panel.viewer.window._qt_viewer.controls.widgets[points].findChildren(QRadioButton)
    (shown,) = [button.toolTip() for button in buttons if button.isChecked()]
    assert points.mode == "add" and shown.startswith("Add points")


def test_without_metadata_the_pixel_size_is_asked_for_once(
    panel: CoSynthPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(layout_sources, "ask_mpp", lambda name: asked.append(name) or 0.25)
    slide = panel.viewer.add_image(np.zeros((400, 400, 3), np.uint8), name="bare")
    draw(panel, slide, (0, 0), (200, 100))
    for _ in range(2):
        panel.layout_controls.sources.from_region.native.click()
    points = panel.layout_controls.points
    assert points.metadata["cosynth"]["shape"] == [100, 50]
    np.testing.assert_allclose(points.scale, 2.0)  # in the slide's own unit, its pixels
    assert points.units == slide.units
    np.testing.assert_allclose(points.translate, (0.5, 0.5))
    assert asked == ["bare"]


def test_what_is_missing_is_said(panel: CoSynthPanel, slide: Any) -> None:
    from napari.utils.notifications import notification_manager

    panel.layout_controls.sources.from_region.native.click()
    assert "draw a rectangle" in notification_manager.records[-1].message
    shapes = draw(panel, slide, (1000, 1000), (1100, 1100))
    panel.layout_controls.sources.from_region.native.click()
    assert "no image under Shapes" in notification_manager.records[-1].message
    shapes.add_lines([np.array([(10, 10), (60, 30)])])
    panel.layout_controls.sources.from_region.native.click()
    assert (
        "expected a rectangle or a polygon, got line 1" in notification_manager.records[-1].message
    )
    assert panel.layout_controls.points is None


def test_points_come_from_labels_with_their_classes(panel: CoSynthPanel, slide: Any) -> None:
    data = np.zeros((100, 80), np.int32)
    data[10:20, 10:20], data[50:60, 40:60] = 3, 700
    panel.viewer.add_labels(
        data,
        name="nuclei",
        scale=(SLIDE_MPP, SLIDE_MPP),
        units=("µm", "µm"),
        translate=(30, 40),
        features={"index": [0, 3, 700], "class": ["", "epithelial", "spindle-shaped"]},
    )
    panel.layout_controls.sources.from_labels.native.click()
    points = panel.layout_controls.points
    assert list(points.features["class"]) == ["epithelial", "spindle-shaped"]
    nuclei = panel.viewer.layers["nuclei"]
    for row, centroid in enumerate([(14.5, 14.5), (54.5, 49.5)]):
        np.testing.assert_allclose(
            points.data_to_world(points.data[row]), nuclei.data_to_world(centroid), atol=0.3
        )


def test_labels_without_classes_are_of_one_chosen_class(
    panel: CoSynthPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout_sources, "ask_class", lambda names: names[1])
    monkeypatch.setattr(layout_sources, "ask_mpp", lambda name: 1.0)
    data = np.zeros((40, 40), np.uint8)
    data[4:8, 4:8] = 1
    panel.viewer.add_labels(data, name="nuclei")
    panel.layout_controls.sources.from_labels.native.click()
    points = panel.layout_controls.points
    assert list(points.features["class"]) == ["epithelial"]
    assert points.metadata["cosynth"]["shape"] == [80, 80]
    np.testing.assert_allclose(points.data_to_world(points.data[0]), (5.5, 5.5), atol=1e-6)


@pytest.fixture
def real_slide(data_root: Path) -> Path:
    return data_root / "slides" / "CMU-1-Small-Region.svs"


def test_a_region_of_the_real_slide(real_slide: Path, panel: CoSynthPanel, qtbot: Any) -> None:
    from napari_cosynth.widget.files.readers import slide_reader

    reader = slide_reader(str(real_slide))
    assert reader is not None
    checksum = real_slide.read_bytes()
    (slide,) = [panel.viewer._add_layer_from_data(*x)[0] for x in reader(str(real_slide))]
    draw(panel, slide, (1000, 800), (1128, 928))
    panel.layout_controls.sources.from_region.native.click()
    points = panel.layout_controls.points
    assert points.metadata["cosynth"]["shape"] == [128, 128]
    top_left = points.data_to_world((-0.5, -0.5))
    np.testing.assert_allclose(top_left, slide.data_to_world((999.5, 799.5)), atol=1e-6)
    points.add([[40, 40], [80, 90]])
    panel.bar.synthesise.native.click()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=60_000)
    assert len(results.groups(panel.viewer)) == 1
    assert real_slide.read_bytes() == checksum
    with tifffile.TiffFile(real_slide) as file:
        assert "MPP = 0.4990" in file.pages[0].description
