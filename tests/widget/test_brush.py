"""Brush and eraser with the real mouse and the real keys, in a real window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Points
from qtpy.QtCore import Qt
from scipy.spatial.distance import cdist, pdist

from hand import PATH, Hand
from napari_cosynth.types import ClassTable, Layout, Synthesis
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers.layout import layout_from
from napari_cosynth.widget.layers.placement import free_placement
from napari_cosynth.widget.layout.brush import Tool
from napari_cosynth.widget.layout.drags import Erasing
from napari_cosynth.widget.run import live, sampling_controls


@pytest.fixture
def hand(panel: CoSynthPanel, points: Points, qtbot: Any) -> Hand:
    tools = panel.layout_controls.tools
    tools.width_um.value, tools.spacing.value, tools.least.value = 6.0, 3.0, 2.0
    return Hand(panel, points, qtbot)


def brushing(panel: CoSynthPanel, tool: Tool = Tool.BRUSH) -> None:
    panel.layout_controls.tools.buttons[tool].native.click()


def pressed(panel: CoSynthPanel) -> list[Tool]:
    buttons = panel.layout_controls.tools.buttons
    return [tool for tool, button in buttons.items() if button.native.isChecked()]


def test_a_stroke_paints_the_current_class_apart_and_is_one_step_of_undo(
    panel: CoSynthPanel, points: Points, hand: Hand
) -> None:
    before = layout_from(points)
    edits: list[None] = []
    panel.layout_controls.edited.connect(lambda: edits.append(None))
    panel.layout_controls.editor.pick("spindle-shaped")
    brushing(panel)
    edits.clear()
    hand.drag()
    painted = points.data[4:]
    # 6 µm wide at 0.5 µm/px: 76 px long, 12 px wide, one nucleus per 6 x 6 px.
    assert 18 <= len(painted) <= 32
    assert set(points.features["class"][4:]) == {"spindle-shaped"}
    assert pdist(painted).min() >= 4 and cdist(painted, points.data[:4]).min() >= 4
    colour = panel.model.facts.classes.colors[3] / 255
    np.testing.assert_allclose(points.face_color[4:, :3], np.tile(colour, (len(painted), 1)))
    assert len(edits) == 1 and not points.selected_data
    assert panel.layout_controls.legend.item(2, 2).text() == str(len(painted) + 1)
    center = panel.viewer.scene.camera.center
    hand.key(
        Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier
    )  # the next class, and of no point that was painted
    assert "inflammatory" not in set(points.features["class"][4:])
    panel.layout_controls.editor.undo()
    np.testing.assert_array_equal(layout_from(points).centroids, before.centroids)
    assert not panel.layout_controls.editor.history.can_undo
    panel.layout_controls.editor.redo()
    np.testing.assert_allclose(points.data[4:], painted)
    assert panel.viewer.scene.camera.center == center


def test_the_eraser_takes_what_it_touches_and_is_one_step_of_undo(
    panel: CoSynthPanel, points: Points, hand: Hand
) -> None:
    brushing(panel, Tool.ERASER)
    hand.drag([(10.0, 4.0), (10.0, 20.0), (30.0, 8.0)])
    np.testing.assert_allclose(points.data, [[40, 50.2], [20, 44]], atol=1e-5)
    panel.layout_controls.editor.undo()
    assert len(points.data) == 4 and not panel.layout_controls.editor.history.can_undo
    hand.drag([(60.0, 60.0), (62.0, 62.0)])
    assert len(points.data) == 4 and not panel.layout_controls.editor.history.can_undo


def test_a_point_found_under_the_mouse_but_not_yet_highlighted_does_not_stop_the_eraser(
    points: Points,
) -> None:
    points._value_stored = None
    assert (
        points.get_value(tuple(points.data[3])) == 3
    )  # as napari's thread for the status line asks
    eraser = Erasing(points, radius=2.0)
    eraser.move(tuple(points.data[0]))
    eraser.finish()
    assert len(points.data) == 3


def test_keys_and_napari_s_own_modes_change_the_tool(
    panel: CoSynthPanel, points: Points, hand: Hand
) -> None:
    hand.key(Qt.Key.Key_B)
    assert pressed(panel) == [Tool.BRUSH] and points.mode == "add"
    assert points.cursor == "circle" and points.cursor_size == pytest.approx(12 * 0.5)
    panel.layout_controls.tools.width_um.value = 9.0
    assert points.cursor_size == pytest.approx(18 * 0.5)
    hand.key(Qt.Key.Key_E)
    assert pressed(panel) == [Tool.ERASER]
    points.mode = "pan_zoom"  # as the held space bar does
    assert pressed(panel) == []
    points.mode = "add"
    assert pressed(panel) == [Tool.ERASER]
    points.mode = "select"
    points.mode = "add"
    assert pressed(panel) == [Tool.POINT]
    hand.key(Qt.Key.Key_B)
    hand.key(Qt.Key.Key_B)
    assert pressed(panel) == [Tool.POINT]
    hand.press((33.0, 33.0))
    hand.release((33.0, 33.0))
    assert len(points.data) == 5 and panel.layout_controls.editor.history.can_undo


def test_another_layout_is_taken_over_without_the_tool(
    panel: CoSynthPanel, points: Points, hand: Hand
) -> None:
    brushing(panel)
    panel.layout_controls.new.native.click()
    assert points.mode == "pan_zoom" and points.cursor == "standard"
    assert pressed(panel) == [Tool.POINT]  # a new layout waits for its points
    panel.viewer.layers.remove(panel.layout_controls.points)
    assert not panel.layout_controls.tools.buttons[Tool.BRUSH].enabled
    assert not [c for c in points.mouse_drag_callbacks if "stroke" in c.__name__]


def test_undo_during_a_stroke_ends_it(panel: CoSynthPanel, points: Points, hand: Hand) -> None:
    brushing(panel)
    hand.press(PATH[0])
    hand.move(*PATH[:2])
    panel.layout_controls.editor.history.restore()
    hand.move(PATH[1], PATH[2])
    hand.release(PATH[2])
    assert len(points.data) == 4


def test_live_samples_once_after_a_stroke(
    panel: CoSynthPanel, points: Points, hand: Hand, qtbot: Any
) -> None:
    shown: list[int] = []
    panel.live.shown.connect(lambda sample: shown.append(len(sample.record.layout)))
    panel.sampling.live.value = True
    qtbot.waitUntil(lambda: bool(shown) and not panel.live.busy, timeout=60_000)
    brushing(panel)
    hand.drag()
    qtbot.waitUntil(lambda: shown[-1] == len(points.data), timeout=60_000)
    assert set(shown) == {4, len(points.data)}


def test_live_finishes_the_layout_of_its_draft_while_a_stroke_goes_on(
    panel: CoSynthPanel,
    points: Points,
    hand: Hand,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampling_controls, "USUAL_DRAFT", 2)
    monkeypatch.setattr(live, "REST_MS", 4000)  # the stroke has begun by then
    shown: list[Synthesis] = []
    panel.live.shown.connect(shown.append)
    panel.sampling.steps.value = 3
    panel.sampling.live.value = True
    qtbot.waitUntil(lambda: bool(shown), timeout=60_000)
    brushing(panel)
    hand.press(PATH[0])
    hand.move(PATH[0], PATH[1])
    assert len(points.data) > 4
    qtbot.waitUntil(lambda: len(shown) > 1, timeout=60_000)
    assert [len(sample.record.layout) for sample in shown] == [4, 4]
    assert shown[0].request.steps < shown[1].request.steps
    hand.release(PATH[1])
    qtbot.waitUntil(lambda: len(shown[-1].record.layout) == len(points.data), timeout=60_000)


def test_a_large_layout_is_changed_a_few_times_a_stroke_and_all_at_once_for_its_listeners(
    panel: CoSynthPanel, classes: ClassTable, qtbot: Any
) -> None:
    rng = np.random.default_rng(0)
    many = rng.uniform(0, 2047, (5_000, 2)).astype(np.float32)
    layout = Layout(many, np.ones(5_000, np.uint8), (2048, 2048), 0.5, classes)
    layer = panel.layout_controls.add_layout(free_placement((2048, 2048), 0.5, []), layout)
    panel.layout_controls.editor.pick("epithelial")
    panel.layout_controls.tools.width_um.value = 60.0
    hand = Hand(panel, layer, qtbot)
    brushing(panel)
    hand.drag([(300.0, 300.0), (300.0, 1700.0), (1700.0, 1700.0)])
    painted = layer.data[5_000:]
    assert len(painted) > 500
    assert cdist(painted, many).min() >= 8
    panel.layout_controls.editor.undo()
    assert len(layer.data) == 5_000
    brushing(panel, Tool.ERASER)
    hand.drag([(300.0, 300.0), (300.0, 1700.0)])
    assert 4_500 < len(layer.data) < 5_000


def test_bare_numbers_are_napari_s_modes_and_select_is_a_tool_of_the_dock(
    panel: CoSynthPanel, points: Points, hand: Hand
) -> None:
    tools = panel.layout_controls.tools
    current = panel.layout_controls.editor.current
    hand.key(Qt.Key.Key_3)
    assert points.mode == "select" and tools.select.native.isChecked()
    assert not pressed(panel) and panel.layout_controls.editor.current == current
    hand.key(Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    assert panel.layout_controls.editor.current == "spindle-shaped" and points.mode == "select"
    tools.select.native.click()
    assert points.mode == "add" and pressed(panel) == [Tool.POINT]
    brushing(panel)
    tools.select.native.click()
    assert points.mode == "select" and tools.select.native.isChecked() and not pressed(panel)
    hand.press(tuple(points.data[2]))
    hand.release(tuple(points.data[2]))
    assert set(points.selected_data) == {2}
    assert len(points.data) == 4
