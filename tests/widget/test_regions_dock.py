"""The regions dock: named squares and polygons of a slide sampled as one run, and the slide written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog
from skimage.draw import disk, polygon2mask

from napari_cosynth.slides.slide import open_slide
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.layout import SAMPLE_KEY, outline_of
from napari_cosynth.widget.layers.shapes import name_of
from napari_cosynth.widget.regions.laying_out import EMPTY, FOUND
from napari_cosynth.widget.regions.region_table import (
    NAME_COLUMN,
    POINTS_COLUMN,
    SIZE_COLUMN,
)
from napari_cosynth.widget.regions.regions_dock import RegionsDock

WAIT = 240_000
MPP = 0.5
TRIANGLE = np.array([(20, 160), (20, 240), (100, 160)], float) - 0.5
NUCLEI = [(y, x) for y in (40, 70) for x in (40, 70, 170, 185, 225)]


@pytest.fixture
def slide(panel: CoSynthPanel) -> Any:
    """Ten dark discs on pink; two of them, at x = 225, lie beside the triangle."""
    rng = np.random.default_rng(0)
    pixels = np.full((300, 320, 3), (230, 190, 215), np.uint8)
    for centre in NUCLEI:
        pixels[disk(centre, 7)] = (90, 60, 140)
    pixels = (pixels + rng.integers(0, 8, pixels.shape)).astype(np.uint8)
    return panel.viewer.add_image(pixels, name="slide", scale=(MPP, MPP), units=("µm", "µm"))


@pytest.fixture
def dock(panel: CoSynthPanel, slide: Any) -> RegionsDock:
    made = RegionsDock(panel.viewer)
    panel.viewer.window.add_dock_widget(made, name="CoSynth regions")
    return made


@pytest.fixture
def shapes(panel: CoSynthPanel, dock: RegionsDock, qtbot: Any) -> Any:
    """A rectangle and a triangle over the nuclei, and a line."""
    corners = np.array([(20, 20), (20, 100), (100, 100), (100, 20)]) - 0.5
    layer = panel.viewer.add_shapes(
        [corners, np.array([(0, 0), (9, 9)]), TRIANGLE],
        shape_type=["rectangle", "line", "polygon"],
        scale=(MPP, MPP),
        units=("µm", "µm"),
    )
    qtbot.waitUntil(lambda: dock.table.rowCount() == 2)
    return layer


def cells(dock: RegionsDock, column: int) -> list[str]:
    return [dock.table.item(row, column).text() for row in range(dock.table.rowCount())]


def lay_out(dock: RegionsDock, source: str, qtbot: Any) -> None:
    dock.source.value = source
    dock.lay_out.native.click()
    qtbot.waitUntil(lambda: not dock.busy, timeout=WAIT)


def settled(panel: CoSynthPanel, dock: RegionsDock, qtbot: Any) -> None:
    def over() -> bool:
        return not (panel.runner.busy or panel.gallery.busy or dock.busy or panel.runs.plan.left)

    qtbot.waitUntil(over, timeout=WAIT)


def test_regions_have_names_and_sizes_and_squares_are_added(
    panel: CoSynthPanel, dock: RegionsDock, slide: Any, shapes: Any, qtbot: Any
) -> None:
    assert cells(dock, NAME_COLUMN) == ["region 1", "region 3"]
    assert cells(dock, SIZE_COLUMN) == ["40 × 40", "40 × 40"]
    dock.table.item(1, NAME_COLUMN).setText("crypt")
    qtbot.waitUntil(lambda: not dock.busy)
    assert name_of(shapes, 2) == "crypt" and cells(dock, NAME_COLUMN) == ["region 1", "crypt"]
    assert list(shapes.text.values)[2] == "crypt"
    panel.viewer.scene.camera.center = (0.0, 80.0, 75.0)
    for power, side in (("10x", 256.0), ("20x", 128.0), ("40x", 64.0)):
        dock.squares[power].native.click()
        corners = shapes.data[-1] * MPP
        np.testing.assert_allclose(np.ptp(corners, axis=0), side)
        np.testing.assert_allclose(corners.mean(0), (80, 75))
    qtbot.waitUntil(lambda: not dock.busy)
    assert cells(dock, NAME_COLUMN)[2:] == ["region 4", "region 5", "region 6"]


def test_a_square_comes_without_a_shapes_layer_and_needs_a_slide(
    panel: CoSynthPanel, dock: RegionsDock, slide: Any, qtbot: Any
) -> None:
    assert "draw rectangles" in dock.lay_out.tooltip and not dock.lay_out.enabled
    dock.squares["20x"].native.click()
    qtbot.waitUntil(lambda: dock.table.rowCount() == 1)
    assert panel.viewer.layers["regions"].units == slide.units
    panel.viewer.layers.remove(slide)
    dock.squares["20x"].native.click()
    assert "open a slide first" in notification_manager.records[-1].message


def test_several_regions_are_one_run_and_of_a_polygon_only_the_inside_is_painted(
    panel: CoSynthPanel,
    dock: RegionsDock,
    slide: Any,
    shapes: Any,
    qtbot: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dock.table.item(0, NAME_COLUMN).setText("left")
    dock.table.item(1, NAME_COLUMN).setText("right")
    qtbot.waitUntil(lambda: not dock.busy)
    monkeypatch.setattr(
        "napari_cosynth.widget.regions.regions_dock.ask_class", lambda names: names[0]
    )
    lay_out(dock, FOUND, qtbot)
    assert cells(dock, POINTS_COLUMN) == ["4", "4"]  # two more lie beside the triangle
    left, right = panel.viewer.layers["left"], panel.viewer.layers["right"]
    assert outline_of(left) is None
    np.testing.assert_allclose(outline_of(right), TRIANGLE - (20, 160))
    panel.sampling.painted.value = "the whole canvas"
    dock.into_image.native.click()
    settled(panel, dock, qtbot)
    found = results.groups(panel.viewer)
    assert [name.split(" #")[0] for name in found] == ["left in image", "right in image"]
    triangle = polygon2mask(slide.data.shape[:2], TRIANGLE)[20:100, 160:240]
    sample = list(found.values())[1]["image"].metadata[SAMPLE_KEY]
    changed = (sample.patch != slide.data[20:100, 160:240]).any(-1)
    assert changed[triangle].mean() > 0.9 and not changed[~triangle].any()

    target = tmp_path / "edited.ome.tif"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: (str(target), ""))
    dock.write.native.click()
    qtbot.waitUntil(lambda: not dock.busy, timeout=WAIT)
    assert dock.status.value == "written: edited.ome.tif with 2 regions"
    written = open_slide(target)
    wanted = slide.data.copy()
    for group in found.values():
        made = group["image"].metadata[SAMPLE_KEY]
        y0, x0, y1, x1 = made.provenance["inpainted"]["region"]
        wanted[y0:y1, x0:x1] = made.patch
    np.testing.assert_array_equal(written.levels[0], wanted)
    assert written.mpp == pytest.approx(MPP)
    assert (np.asarray(written.levels[0]) != slide.data).any()


def test_what_was_repainted_is_written_so_and_of_two_in_one_place_the_one_that_is_seen(
    panel: CoSynthPanel, dock: RegionsDock, slide: Any, shapes: Any, qtbot: Any, tmp_path: Path
) -> None:
    dock.table.item(1, NAME_COLUMN).setCheckState(Qt.CheckState.Unchecked)
    lay_out(dock, EMPTY, qtbot)
    panel.viewer.layers["region 1"].add([[30, 30]])
    for seed in (1, 2):
        panel.sampling.seed.value = seed
        dock.into_image.native.click()
        settled(panel, dock, qtbot)
    first, second = results.groups(panel.viewer)
    results.show_only(panel.viewer, first)
    image = results.groups(panel.viewer)[first]["image"]
    image.data = np.where(np.arange(80)[:, None, None] < 5, np.uint8(7), image.data)
    dock.writer.write_to(tmp_path / "edited.tif", MPP)
    qtbot.waitUntil(lambda: not dock.busy, timeout=WAIT)
    assert dock.status.value.endswith(f"with 1 region; left out, as others lie there: {second}")
    pixels = np.asarray(open_slide(tmp_path / "edited.tif").levels[0])
    np.testing.assert_array_equal(pixels[20:100, 20:100], image.data)
    pixels[20:100, 20:100] = slide.data[20:100, 20:100]
    np.testing.assert_array_equal(pixels, slide.data)


def test_synthesise_queues_the_regions_with_a_tick(
    panel: CoSynthPanel, dock: RegionsDock, slide: Any, shapes: Any, qtbot: Any
) -> None:
    dock.synthesise.native.click()
    assert not panel.runner.busy and "no layout yet" in dock.synthesise.tooltip
    lay_out(dock, EMPTY, qtbot)
    for name in ("region 1", "region 3"):
        panel.viewer.layers[name].add([[20, 20]])
    dock.synthesise.native.click()
    assert panel.runner.busy and len(panel.runs.waiting.jobs) == 1
    settled(panel, dock, qtbot)
    assert [name.split(" #")[0] for name in results.groups(panel.viewer)] == [
        "region 1",
        "region 3",
    ]
