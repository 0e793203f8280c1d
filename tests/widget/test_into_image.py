"""Into the image: a layout's canvas of the slide is sampled, in its place, and the slide stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from skimage.draw import disk

from napari_cosynth.synthesis.inpaint import REACH
from napari_cosynth.types import Layout, Synthesis
from napari_cosynth.widget.docks import jobs
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.layout import SAMPLE_KEY
from napari_cosynth.widget.layers.placement import Placement
from napari_cosynth.widget.layout import layout_sources
from napari_cosynth.widget.run.into_image import shown_nuclei
from napari_cosynth.widget.run.sampling_controls import AROUND, WHOLE


@pytest.fixture
def make(panel: CoSynthPanel, qtbot: Any) -> Callable[..., tuple[Any, Any, Synthesis]]:
    """Lays a layout of 64 x 48 at (y, x) over a slide and samples it in: slide, layers, sample."""

    def run(mpp: float, place: tuple[float, float]) -> tuple[Any, Any, Synthesis]:
        pixels = np.random.default_rng(0).integers(80, 250, (420, 360, 3)).astype(np.uint8)
        slide = panel.viewer.add_image(
            pixels, name="slide", scale=(mpp, mpp), units=("µm", "µm"), translate=(10, 20)
        )
        corner = np.array(slide.data_to_world(np.array(place) - 0.5)) + 0.25
        placement = Placement((64, 48), 0.5, 0.5, tuple(corner), "micrometer")
        classes = panel.model.facts.classes  # type: ignore[union-attr]
        layout = Layout(np.array([[20, 12], [40, 30]]), np.array([1, 2]), (64, 48), 0.5, classes)
        panel.layout_controls.add_layout(placement, layout)
        panel.bar.into_image.native.click()
        assert panel.runner.busy
        qtbot.waitUntil(lambda: not panel.runner.busy, timeout=60_000)
        (group,) = results.groups(panel.viewer).values()
        np.testing.assert_array_equal(slide.data, pixels)
        return slide, group, group["image"].metadata[SAMPLE_KEY]

    return run


def test_the_result_lies_on_the_slides_pixels(make: Any, panel: CoSynthPanel) -> None:
    slide, group, sample = make(0.499, (150.3, 120.4))
    assert sample.recipe["inpainted"] == {
        "image": "slide",
        "region": [150, 120, 214, 168],
        "mpp": pytest.approx(0.499),
        "found_around": sample.recipe["inpainted"]["found_around"],
    }
    for layer in group.values():
        assert layer.data.shape[:2] == (64, 48)
        np.testing.assert_allclose(layer.scale, slide.scale)
        np.testing.assert_allclose(layer.translate, slide.data_to_world((150, 120)))
        assert layer.units == slide.units
    np.testing.assert_allclose(sample.record.layout.centroids, [[20, 12], [40, 30]], atol=1e-4)
    # What was found is told of the layout's own points.
    assert "note" in panel.layout_controls.points.features  # type: ignore[union-attr]


def test_a_finer_slide_is_brought_to_the_models_grid(make: Any) -> None:
    slide, group, sample = make(0.25, (100, 80))
    assert sample.recipe["inpainted"]["region"] == [100, 80, 228, 176]
    assert sample.patch is not None and sample.patch.shape == (128, 96, 3)
    corners = [
        group["image"].data_to_world((-0.5, -0.5)),
        group["image"].data_to_world((63.5, 47.5)),
    ]
    wanted = [slide.data_to_world((99.5, 79.5)), slide.data_to_world((227.5, 175.5))]
    np.testing.assert_allclose(corners, wanted, atol=0.5)
    assert group["image"].data.shape[0] in (64, 65)


def test_around_found_nuclei_only_what_changed_is_painted(
    panel: CoSynthPanel, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout_sources, "ask_class", lambda names: names[0])
    pixels = np.full((200, 200, 3), (230, 190, 215), np.uint8)
    for centre in ((50, 50), (60, 150), (150, 60), (150, 150)):
        pixels[disk(centre, 7)] = (90, 60, 140)
    panel.viewer.add_image(pixels, name="tile", scale=(0.5, 0.5), units=("µm", "µm"))
    panel.viewer.add_shapes(
        [np.array([(20, 20), (20, 180), (180, 180), (180, 20)]) - 0.5],
        shape_type="rectangle",
        scale=(0.5, 0.5),
        units=("µm", "µm"),
    )
    controls = panel.layout_controls
    controls.sources.nuclei.find.native.click()
    qtbot.waitUntil(lambda: not controls.sources.nuclei.busy and controls.points is not None)
    points = controls.points
    assert points is not None and len(points.data) == 4

    def painted() -> np.ndarray:
        panel.bar.into_image.native.click()
        assert panel.runner.busy
        qtbot.waitUntil(lambda: not panel.runner.busy, timeout=60_000)
        sample = list(results.groups(panel.viewer).values())[-1]["image"].metadata[SAMPLE_KEY]
        return np.asarray((sample.patch != pixels[20:180, 20:180]).any(-1))

    panel.bar.into_image.native.click()
    assert not panel.runner.busy
    assert "every nucleus is in the image as it is" in notification_manager.records[-1].message

    points.add([(100, 60)])
    changed = painted()
    y, x = np.indices(changed.shape)
    near = np.hypot(y - 100, x - 60) <= REACH / 0.5
    assert changed[near].mean() > 0.5 and not changed[~near].any()

    panel.sampling.painted.value = WHOLE
    assert painted()[~near].mean() > 0.5

    panel.sampling.painted.value = AROUND
    points.translate = (14.5, 10)  # another part of the image, which nobody looked at
    assert shown_nuclei(points) is None


def test_pink_is_not_painted_into_brown_unasked(panel: CoSynthPanel, qtbot: Any) -> None:
    pixels = np.full((200, 200, 3), (225, 215, 205), np.uint8)
    for centre in ((50, 50), (60, 100), (90, 60), (80, 80), (100, 100)):
        pixels[disk(centre, 9)] = (140, 95, 60)
    panel.viewer.add_image(pixels, name="ihc", scale=(0.5, 0.5), units=("µm", "µm"))
    placement = Placement((80, 80), 0.5, 0.5, (20.0, 20.0), "micrometer")
    classes = panel.model.facts.classes  # type: ignore[union-attr]
    layout = Layout(np.array([[20, 12], [40, 30]]), np.array([1, 2]), (80, 80), 0.5, classes)
    panel.layout_controls.add_layout(placement, layout)
    panel.bar.into_image.native.click()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=60_000)
    offer = panel.bar.offer
    assert not results.groups(panel.viewer) and "H&E only" in offer.text.value
    assert panel.bar.status.value == "nothing was painted"
    offer.buttons["Paint all the same"].click()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=60_000)
    assert len(results.groups(panel.viewer)) == 1 and offer.isHidden()


def test_what_is_missing_is_said(panel: CoSynthPanel, points: Any) -> None:
    def said() -> str:
        panel.bar.into_image.native.click()
        assert not panel.runner.busy
        return str(notification_manager.records[-1].message)

    assert "no image under layout" in said()
    small = panel.viewer.add_image(np.zeros((50, 50, 3), np.uint8), name="small")
    small.units, small.scale = points.units, points.scale
    assert "small: the canvas reaches beyond the image" in said()
    grey = panel.viewer.add_image(np.zeros((90, 90), np.uint8), name="grey")
    grey.units, grey.scale = points.units, points.scale
    assert "grey: expected an 8-bit RGB image" in said()


@pytest.mark.parametrize("file", ["wsi.dcm", "jpeg2000.svs"])
def test_a_slide_from_the_menu_is_sampled_into(
    panel: CoSynthPanel, qtbot: Any, monkeypatch: pytest.MonkeyPatch, data_root: Path, file: str
) -> None:
    """DICOM frame by frame and JPEG 2000, neither of which states µm/px."""
    pytest.importorskip("pydicom")
    (slide,) = panel.viewer.open(str(data_root / "slides" / file), plugin="napari-cosynth")
    asked: list[str] = []
    monkeypatch.setattr(jobs, "ask_mpp", lambda name: (asked.append(name), 0.5)[1])
    placement = Placement((64, 48), 0.5, 1.0, (1300.0, 1400.0), "pixel")
    classes = panel.model.facts.classes  # type: ignore[union-attr]
    layout = Layout(np.array([[20, 12], [40, 30]]), np.array([1, 2]), (64, 48), 0.5, classes)
    panel.layout_controls.add_layout(placement, layout)
    level = slide.data[0] if slide.multiscale else slide.data
    before = np.array(level[1300:1364, 1400:1448])
    panel.bar.into_image.native.click()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=60_000)
    (group,) = results.groups(panel.viewer).values()
    sample = group["image"].metadata[SAMPLE_KEY]
    assert sample.recipe["inpainted"]["region"] == [1300, 1400, 1364, 1448]
    assert asked == [slide.name]
    np.testing.assert_allclose(group["image"].translate, [1300, 1400])
    np.testing.assert_array_equal(level[1300:1364, 1400:1448], before)
