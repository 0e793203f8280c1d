"""The layout dock in a real window: the palette, drawing with the mouse, changing many points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Points
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QAbstractButton, QDockWidget, QScrollArea, QWidget
from scipy.spatial.distance import pdist

from hand import Hand
from napari_cosynth.layouts.drawn.spacing import violators
from napari_cosynth.layouts.drawn.transforms import rotated
from napari_cosynth.types import ClassTable, Layout
from napari_cosynth.widget.docks.layout_dock import LayoutDock
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers.layout import layout_from
from napari_cosynth.widget.layers.placement import free_placement
from napari_cosynth.widget.layout.brush import Tool
from napari_cosynth.widget.layout.structures import FREEHAND

WAIT = 60_000
PLUGIN = "napari-cosynth"


@pytest.fixture
def dock(panel: CoSynthPanel, points: Points) -> LayoutDock:
    dock = LayoutDock(panel.viewer)
    panel.viewer.window.add_dock_widget(dock, name="layout tools")
    return dock


@pytest.fixture
def hand(dock: LayoutDock, points: Points, qtbot: Any) -> Hand:
    viewer = dock.panel.viewer
    window = viewer.window._qt_window
    window.resize(900, 700)
    window.show()
    qtbot.waitExposed(window)
    # What the docks leave of the window is settled once they share a place.
    first, *_ = [d for d in window.findChildren(QDockWidget) if d.isAncestorOf(dock.panel)]
    qtbot.waitUntil(lambda: bool(window.tabifiedDockWidgets(first)), timeout=WAIT)
    qtbot.waitUntil(lambda: min(viewer.window._qt_viewer.canvas.size) > 100, timeout=WAIT)
    return Hand(dock.panel, points, qtbot)


def settle(dock: LayoutDock, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not dock.selection.busy, timeout=WAIT)


def shown(dock: LayoutDock, name: str) -> list[str]:
    row = dock.controls.editor.classes.names.index(name) - 1
    return [dock.composition.item(row, column).text() for column in (1, 3)]


def aim(dock: LayoutDock, row: int, percent: int) -> None:
    """What the delegate does when a target was double-clicked and typed."""
    dock.composition.item(row, 3).setData(Qt.ItemDataRole.UserRole, percent)


def undo(dock: LayoutDock, points: Points, before: np.ndarray) -> None:
    """One press takes the last gesture back, and there is no other."""
    dock.undo.native.click()
    np.testing.assert_array_equal(points.data, before)
    assert not dock.controls.editor.history.can_undo


def test_the_palette_counts_live_against_its_targets(dock: LayoutDock, points: Points) -> None:
    assert shown(dock, "epithelial") == ["2", "–"]
    aim(dock, 1, 75)
    assert shown(dock, "epithelial") == ["2", "75 %"]
    tip = dock.composition.item(1, 2).toolTip()
    assert tip == "2 of 4 points, 50.0 %; for 75 %: 4 more"  # 6 of 8
    assert dock.sum.value == "targets: 75 % in all"
    points.add([[5, 5], [6, 9]])
    assert shown(dock, "inflammatory") == ["3", "–"]
    aim(dock, 0, 40)
    assert dock.sum.value.endswith("above 100 %")
    assert points.metadata["cosynth"]["targets"] == {"epithelial": 0.75, "inflammatory": 0.4}
    dock.composition.cellClicked.emit(2, 0)
    assert dock.controls.editor.current == "spindle-shaped"
    dock.controls.new.native.click()  # another layout has its own
    assert shown(dock, "epithelial") == ["–", "–"]
    dock.panel.viewer.layers.selection.active = points
    assert shown(dock, "epithelial") == ["2", "75 %"]


def test_a_gland_with_stroma_is_drawn_and_is_one_step_of_undo(
    dock: LayoutDock, points: Points, hand: Hand
) -> None:
    before = points.data.copy()
    dock.structures.stroma.value = "inflammatory"
    dock.structures.band.value = 6.0
    dock.structures.spacing.value, dock.structures.least.value = 3.0, 2.0
    dock.controls.editor.pick("spindle-shaped")
    dock.structures.buttons[Tool.GLAND].native.click()
    hand.drag([(32.0, 32.0), (32.0, 48.0)])
    names = np.asarray(points.features["class"][4:], object)
    assert set(names) == {"epithelial", "inflammatory"}
    radius = np.hypot(*(points.data[4:] - 32).T)
    ring, stroma = radius[names == "epithelial"], radius[names == "inflammatory"]
    assert 10 <= len(ring) <= 20 and np.abs(ring - 16).max() < 6
    assert len(stroma) > 10 and stroma.min() > 14
    assert pdist(points.data[4:]).min() >= 4
    assert dock.controls.editor.current == "spindle-shaped"
    colours = points.face_color[4:][names == "inflammatory", :3]
    table = dock.controls.editor.classes.colors
    np.testing.assert_allclose(colours, np.tile(table[1] / 255, (len(colours), 1)))
    undo(dock, points, before)


def test_a_stream_and_a_field_are_drawn(dock: LayoutDock, points: Points, hand: Hand) -> None:
    before = points.data.copy()
    dock.structures.spacing.value, dock.structures.least.value = 3.0, 2.0
    dock.structures.width_um.value = 8.0
    dock.structures.buttons[Tool.STREAM].native.click()
    assert points.cursor == "circle" and points.cursor_size == pytest.approx(16 * 0.5)
    hand.drag([(30.0, 5.0), (30.0, 58.0)])
    drawn = points.data[4:]
    assert set(points.features["class"][4:]) == {"spindle-shaped"}
    assert len(drawn) > 10 and np.abs(drawn[:, 0] - 30).max() <= 9
    undo(dock, points, before)
    dock.controls.editor.pick("inflammatory")
    dock.structures.shape.value = FREEHAND
    dock.structures.buttons[Tool.FIELD].native.click()
    assert points.cursor == "cross"
    hand.drag([(4.0, 20.0), (4.0, 60.0), (36.0, 60.0)])
    drawn = points.data[4:]
    assert set(points.features["class"][4:]) == {"inflammatory"} and len(drawn) > 5
    # The triangle's side from the last point to the first, a pixel of the screen aside.
    assert (drawn[:, 1] - 20 >= (drawn[:, 0] - 4) * 40 / 32 - 1).all()
    undo(dock, points, before)
    hand.drag([(50.0, 50.0), (50.0, 51.0)])  # a click, nearly
    assert len(points.data) == 4 and not dock.controls.editor.history.can_undo


def test_the_tools_share_one_mouse(dock: LayoutDock, points: Points, hand: Hand) -> None:
    brush = dock.controls.tools.buttons[Tool.BRUSH].native
    gland = dock.structures.buttons[Tool.GLAND].native
    gland.click()
    assert gland.isChecked() and not brush.isChecked()
    brush.click()
    assert brush.isChecked() and not gland.isChecked()
    gland.click()
    gland.click()
    assert dock.controls.tools.tool.in_use is Tool.POINT


def test_the_selection_is_turned_and_all_points_are_mirrored(
    dock: LayoutDock, points: Points
) -> None:
    before = points.data.copy()
    points.selected_data = {0, 3}
    dock.selection.rotate.native.click()
    np.testing.assert_allclose(points.data[[0, 3]], rotated(before[[0, 3]], 90))
    np.testing.assert_array_equal(points.data[[1, 2]], before[[1, 2]])
    assert set(points.selected_data) == {0, 3}
    undo(dock, points, before)
    dock.selection.mirror[1].native.click()
    np.testing.assert_allclose(
        points.data[:, 1], before[:, 1].max() + before[:, 1].min() - before[:, 1]
    )
    assert list(points.features["class"]) == [
        "inflammatory",
        "epithelial",
        "spindle-shaped",
        "epithelial",
    ]
    assert not points.selected_data
    undo(dock, points, before)
    dock.selection.scale.native.click()
    np.testing.assert_allclose(pdist(points.data), 1.2 * pdist(before))
    undo(dock, points, before)
    dock.selection.jitter.native.click()
    assert (points.data != before).all()
    undo(dock, points, before)


def test_points_too_near_are_counted_removed_and_pushed(
    dock: LayoutDock, points: Points, qtbot: Any
) -> None:
    dock.selection.least.value = 2.0  # 4 px
    settle(dock, qtbot)
    assert dock.selection.found.value == "none too near"
    points.add([[11, 12], [12, 12]])
    settle(dock, qtbot)
    assert dock.selection.found.value == "3 too near"
    before = points.data.copy()
    history = dock.controls.editor.history
    steps = len(history._past)
    dock.selection.remove.native.click()
    settle(dock, qtbot)
    assert len(points.data) == 4 and not violators(points.data, 4.0).any()
    assert len(history._past) == steps + 1
    dock.undo.native.click()
    np.testing.assert_array_equal(points.data, before)
    dock.selection.select.native.click()
    settle(dock, qtbot)
    assert set(points.selected_data) == {0, 4, 5}
    points.selected_data = {4}
    dock.selection.push.native.click()
    settle(dock, qtbot)
    moved = (points.data != before).any(1)
    assert np.flatnonzero(moved).tolist() == [4]
    points.selected_data = set()
    dock.selection.push.native.click()
    settle(dock, qtbot)
    assert not violators(points.data, 4.0).any()
    assert layout_from(points).shape == (64, 64)


def test_what_was_worked_out_for_other_points_is_not_put(
    dock: LayoutDock, points: Points, qtbot: Any
) -> None:
    points.add([[11, 12]])
    settle(dock, qtbot)
    dock.selection.remove.native.click()
    points.add([[60, 3]])
    settle(dock, qtbot)
    assert len(points.data) == 6


def test_another_layout_and_a_closed_dock_leave_no_tools_behind(
    dock: LayoutDock, points: Points, qtbot: Any
) -> None:
    dock.structures.buttons[Tool.FIELD].native.click()
    dock.panel.viewer.window.remove_dock_widget(dock)
    dock.deleteLater()
    qtbot.waitUntil(lambda: not dock.controls.tools.structures, timeout=WAIT)
    assert dock.controls.tools.tool.in_use is Tool.POINT
    points.add([[5, 5]])
    dock.controls.new.native.click()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_dock_fits_a_small_screen(make_napari_viewer: Any, qtbot: Any, theme: str) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.theme = theme
    viewer.window.add_plugin_dock_widget(PLUGIN, "CoSynth")
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "CoSynth layout")
    viewer.window._qt_window.resize(1280, 800)
    viewer.open_sample(PLUGIN, "gland")
    qtbot.waitUntil(lambda: dock.height() > 600, timeout=WAIT)
    column = dock.findChild(QScrollArea)
    qtbot.waitUntil(lambda: column.verticalScrollBar().maximum() == 0, timeout=WAIT)
    for child in dock.findChildren(QWidget):
        if child.isVisible() and child is not column.viewport():
            right = child.mapTo(dock, QPoint(child.width(), 0)).x()
            assert right <= dock.width(), child
    for button in dock.findChildren(QAbstractButton):
        if button.isVisible() and button.text():
            words = button.fontMetrics().horizontalAdvance(button.text().replace("&", ""))
            assert words <= button.width(), button.text()


def test_a_hundred_thousand_points_stay_usable(
    dock: LayoutDock, classes: ClassTable, qtbot: Any
) -> None:
    rng = np.random.default_rng(0)
    many = rng.uniform(0, 4095, (100_000, 2)).astype(np.float32)
    ids = rng.integers(1, 4, len(many)).astype(np.uint8)
    layout = Layout(many, ids, (4096, 4096), 0.5, classes)
    layer = dock.controls.add_layout(free_placement((4096, 4096), 0.5, []), layout)
    dock.selection.least.value = 4.0
    settle(dock, qtbot)
    near = violators(many, 8.0)
    assert dock.selection.found.value == f"{near.sum():,} too near"
    dock.selection.remove.native.click()
    settle(dock, qtbot)
    assert not violators(layer.data, 8.0).any() and len(layer.data) > 50_000
    dock.undo.native.click()
    np.testing.assert_array_equal(layer.data, many)
