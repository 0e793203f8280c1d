"""Stain matching in a real viewer: to a region, to a file, undone, saved with its recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Points
from napari.utils.notifications import notification_manager
from skimage.io import imsave

from killed_sessions import made
from napari_cosynth import registry
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.stain.stain_match import match_to
from napari_cosynth.widget.docks.gallery_dock import GalleryDock
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.layout import placement_from
from napari_cosynth.widget.result.result_view import LiveView

WAIT = 60_000


def reference() -> np.ndarray:
    """Tissue of two stains at the left, white glass at the right, uint8 (60, 80, 3)."""
    rng = np.random.default_rng(0)
    density = rng.uniform(0, 1, (60, 80, 2)) @ [[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]]
    image = (255 * np.exp(-density)).astype(np.uint8)
    image[:, 50:] = 255
    return image


@pytest.fixture
def dock(panel: CoSynthPanel, points: Points, qtbot: Any) -> GalleryDock:
    """A gallery with one sample, shown and kept."""
    dock = GalleryDock(panel.viewer)
    panel.viewer.window.add_dock_widget(dock, name="gallery")
    sample = made(panel.layout_controls.layout_now())
    dock.gallery.record(sample, "layout", placement_from(points), "layout #0")
    settle(dock, qtbot)
    dock.gallery.show(0)
    dock.gallery.keep([0], True)
    settle(dock, qtbot)
    return dock


def settle(dock: GalleryDock, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not (dock.gallery.busy or dock.stain.busy), timeout=WAIT)


def slide(dock: GalleryDock, box: list[list[float]]) -> None:
    """A slide with a rectangle over it, in µm of its own."""
    dock.viewer.add_image(
        reference(), rgb=True, name="slide", scale=(0.5, 0.5), units=("um", "um"), translate=(10, 4)
    )
    (top, left), (bottom, right) = box
    corners = np.array([[top, left], [top, right], [bottom, right], [bottom, left]])
    dock.viewer.add_shapes(
        [corners * 0.5 + [10, 4]], shape_type="rectangle", units=("um", "um"), name="region"
    )


def image_of(dock: GalleryDock) -> Any:
    return results.groups(dock.viewer)["layout #0"]["image"]


def test_a_result_is_matched_to_a_region_and_back(
    dock: GalleryDock, qtbot: Any, tmp_path: Path
) -> None:
    before = image_of(dock).data.copy()
    slide(dock, [[4.5, 9.5], [39.5, 44.5]])
    under = reference()[5:40, 10:45]
    for method in registry.names("normaliser"):
        dock.stain.method.value = method
        dock.stain.region.native.click()
        settle(dock, qtbot)
        # From the sample's own pixels, however often it was matched.
        wanted = registry.resolve("normaliser", method)(under)(before)
        np.testing.assert_array_equal(image_of(dock).data, wanted)
    dock.stain.strength.value = 30
    dock.stain.region.native.click()
    settle(dock, qtbot)
    wanted = match_to("vahadane", under, "x", 0.3)(before)
    np.testing.assert_array_equal(image_of(dock).data, wanted)
    dock.gallery.save_kept(tmp_path / "matched")
    settle(dock, qtbot)
    (said,) = StackDataset(tmp_path / "matched").samples
    assert said["stain_match"]["method"] == "vahadane"
    assert said["stain_match"]["reference"] == "slide [5:40, 10:45]"
    assert said["stain_match"]["strength"] == 0.3
    np.testing.assert_array_equal(StackDataset(tmp_path / "matched")[0].image, wanted)
    dock.stain.undo.native.click()
    np.testing.assert_array_equal(image_of(dock).data, before)
    recipes = image_of(dock).metadata["cosynth"]["recipes"]
    assert "stain_match" not in recipes[0] and recipes[0]["seed"] == 0


def test_the_next_live_sample_is_not_matched(
    dock: GalleryDock, points: Points, qtbot: Any, tmp_path: Path
) -> None:
    imsave(tmp_path / "reference.png", reference()[:, :50], check_contrast=False)
    layout = dock.panel.layout_controls.layout_now()
    live = LiveView(dock.viewer)
    live.show(made(layout, 1), points, layout.mpp)
    name = "layout live"
    dock.panel.results.choose(name)
    dock.stain.match_file(tmp_path / "reference.png")
    settle(dock, qtbot)
    second = made(layout, 2)
    live.show(second, points, layout.mpp)
    image = results.groups(dock.viewer)[name]["image"]
    dock.stain.undo.native.click()
    np.testing.assert_array_equal(image.data, second.record.image)
    dock.stain.match_file(tmp_path / "reference.png")
    settle(dock, qtbot)
    method = registry.resolve("normaliser", str(dock.stain.method.value))
    wanted = method(reference()[:, :50])(second.record.image)
    np.testing.assert_array_equal(image.data, wanted)


def test_a_bad_reference_is_one_line_and_changes_nothing(
    dock: GalleryDock, qtbot: Any, tmp_path: Path
) -> None:
    before = image_of(dock).data.copy()

    def told() -> str:
        settle(dock, qtbot)
        np.testing.assert_array_equal(image_of(dock).data, before)
        return str(notification_manager.records[-1].message)

    dock.stain.region.native.click()
    assert "no region" in told()
    slide(dock, [[4.5, 51.5], [39.5, 75.5]])  # glass
    dock.stain.region.native.click()
    assert told() == (
        "slide [5:40, 52:76]: the reference for stain normalisation shows 0 pixels of tissue, "
        "expected at least 100"
    )
    (tmp_path / "text.tif").write_text("no image")
    dock.stain.match_file(tmp_path / "text.tif")
    assert "text.tif: cannot be read as an image" in told()
    dock.stain.undo.native.click()
    assert told() == "this result's stain was not matched"
