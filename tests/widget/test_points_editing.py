"""The layout layer: classes, keys, refusals, marks, undo, and other people's Points layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.layers import Points
from napari.utils.notifications import notification_manager

from napari_cosynth.layouts.sources.points_csv import read_layout
from napari_cosynth.types import ClassTable, Layout, Report
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers.layout import layout_from, set_notes
from napari_cosynth.widget.layout import layout_controls
from napari_cosynth.widget.layout import points as points_module


def press(layer: Points, key: str) -> None:
    """What napari does with a key: the binding of the layer, called with the layer."""
    from app_model.types import KeyBinding

    found = {str(k): action for k, action in layer.keymap.items()}
    found[str(KeyBinding.from_str(key))](layer)


def names(layer: Points) -> list[str]:
    return list(layer.features["class"].astype(str))


def test_a_new_layout_is_empty_and_takes_points_of_the_picked_class(panel: CoSynthPanel) -> None:
    panel.layout_controls.new.native.click()
    layer = panel.layout_controls.points
    assert layer is not None and len(layer.data) == 0 and layer.mode == "add"
    layer.add([[5, 5]])
    panel.layout_controls.legend.cellClicked.emit(1, 0)
    layer.add([[9, 9]])  # the first keeps its class, though napari has it selected
    assert names(layer) == ["inflammatory", "epithelial"]
    assert panel.layout_controls.legend.item(1, 2).text() == "1"
    colors = panel.model.facts.classes.colors[1:3] / 255
    np.testing.assert_allclose(layer.face_color[:, :3], colors, atol=1e-6)
    assert "2 points" in panel.layout_controls.summary


def test_keys_set_the_class_of_the_next_point_and_of_the_selection(
    panel: CoSynthPanel, points: Points
) -> None:
    before = names(points)
    points.mode = "select"
    points.selected_data = {0, 3}
    press(points, "Ctrl+3")
    assert names(points) == ["spindle-shaped", *before[1:3], "spindle-shaped"]
    points.selected_data = set()
    press(points, "Ctrl+1")
    points.add([[1, 1]])
    assert names(points)[-1] == "inflammatory" and names(points)[1] == before[1]
    rows = panel.layout_controls.legend.selectionModel().selectedRows()
    assert [row.row() for row in rows] == [0]


def test_the_legend_shows_the_next_point_s_class_whoever_chose_it(
    panel: CoSynthPanel, points: Points
) -> None:
    editor, legend = panel.layout_controls.editor, panel.layout_controls.legend
    before = names(points)
    assert len({before[0], before[2]}) == 2

    def shown() -> str:
        (row,) = legend.selectionModel().selectedRows()
        return legend.item(row.row(), 1).text()

    points.mode = "select"
    points.selected_data = {2}  # napari gives the next point its class
    assert editor.current == shown() == before[2]
    points.mode = "add"
    editor.pick(before[0])
    ids = layout_from(points).class_ids
    editor.replace(points.data + 1, ids, np.arange(4), np.arange(4) == 2)  # as a transform
    assert points.selected_data == {2} and names(points) == before
    points.add([[7, 7]])
    assert names(points)[-1] == before[0] == shown()


def test_a_real_key_reaches_the_layer(panel: CoSynthPanel, points: Points, qtbot: Any) -> None:
    from qtpy.QtCore import Qt

    canvas = panel.viewer.window._qt_viewer.canvas.native
    panel.viewer.layers.selection.active = points
    qtbot.keyClick(canvas, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    assert panel.layout_controls.editor.current == "epithelial"


def test_an_unknown_class_is_refused_and_said(panel: CoSynthPanel, points: Points) -> None:
    before = names(points)
    features = points.features.copy()
    features["class"] = ["martian", *before[1:]]
    points.features = features
    assert names(points) == before
    assert "no such class" in notification_manager.records[-1].message
    points.current_properties = {"class": np.array(["martian"]), "note": np.array([""])}
    points.selected_data = set()
    points.add([[3, 3]])
    assert names(points) == before and panel.layout_controls.editor.current in names(points)


def test_undo_and_redo_of_every_kind_of_edit(panel: CoSynthPanel, points: Points) -> None:
    editor = panel.layout_controls.editor
    states = [layout_from(points)]

    def after(edit: Callable[[], None]) -> None:
        edit()
        states.append(layout_from(points))

    after(lambda: points.add([[50, 60]]))
    after(lambda: points.remove([1]))
    points.mode = "select"
    points.selected_data = {0}
    after(lambda: editor.pick("spindle-shaped"))
    points.selected_data = set()
    after(lambda: setattr(points, "data", points.data + 1.0))
    for state in reversed(states[:-1]):
        press(points, "Ctrl+Z")
        same(layout_from(points), state)
    assert not editor.history.can_undo and not panel.layout_controls.undo.enabled
    for state in states[1:]:
        panel.layout_controls.redo.native.click()
        same(layout_from(points), state)
    assert not editor.history.can_redo
    panel.layout_controls.undo.native.click()
    points.add([[2, 2]])
    assert not editor.history.can_redo


def same(first: Layout, second: Layout) -> None:
    np.testing.assert_array_equal(first.centroids, second.centroids)
    np.testing.assert_array_equal(first.class_ids, second.class_ids)


def test_the_layout_of_a_stack_is_edited_like_any_other(panel: CoSynthPanel) -> None:
    *_, layer = panel.viewer.open_sample("napari-cosynth", "pair")
    panel.viewer.layers.selection.active = layer
    editor = panel.layout_controls.editor
    assert editor.layer is layer
    before, count = layout_from(layer), len(layer.data)
    press(layer, "Control-2")
    assert editor.current == editor.classes.names[2]
    layer.selected_data = {0}
    layer.remove_selected()
    panel.layout_controls.undo.native.click()
    same(layout_from(layer), before)
    assert panel.layout_controls.summary == f"{count} points"
    everything = np.ones(count, bool)
    editor.replace(layer.data + 0.5, before.class_ids, np.arange(count), everything)  # as Jitter
    np.testing.assert_allclose(layout_from(layer).centroids, before.centroids + 0.5, atol=1e-4)
    set_notes(layer, Report(missed=(1,)))
    assert list(layer.features["note"][:2]) == ["missed", ""]


def test_undo_to_an_empty_layout_and_back(panel: CoSynthPanel) -> None:
    layer = panel.layout_controls.new_layout()
    layer.add([[4, 4]])
    panel.layout_controls.editor.undo()
    assert len(layer.data) == 0
    panel.layout_controls.editor.redo()
    assert names(layer) == ["inflammatory"]


def test_points_outside_are_shown_as_such(panel: CoSynthPanel, points: Points) -> None:
    points.add([[10, 200]])
    assert str(points.symbol[-1].value) == "x" and str(points.symbol[0].value) == "disc"
    assert "1 outside" in panel.layout_controls.summary
    points.data = np.vstack([points.data[:-1], [[10, 20]]])
    assert str(points.symbol[-1].value) == "disc"
    assert "outside" not in panel.layout_controls.summary


def test_what_separation_found_is_marked(panel: CoSynthPanel, points: Points) -> None:
    set_notes(points, Report(missed=(1,), merged=(2,), flagged=(4,), spurious=(9,)))
    assert list(points.features["note"]) == ["missed", "merged", "", "flagged"]
    assert len({tuple(c) for c in points.border_color}) == 4
    assert not panel.layout_controls.editor.history.can_undo


def test_marks_and_undo_leave_the_next_points_class_alone(
    panel: CoSynthPanel, points: Points
) -> None:
    press(points, "Ctrl+3")
    set_notes(points, Report(missed=(1,)))
    points.add([[2, 2]])
    panel.layout_controls.editor.undo()
    points.add([[2, 4]])
    assert names(points)[-1] == "spindle-shaped"


@pytest.mark.parametrize(
    "column",
    [["epithelial", "inflammatory"], [2, 1], ["2", "1"], pd.Categorical(["epithelial"] * 2)],
)
def test_any_points_layer_with_known_classes_is_adopted(
    panel: CoSynthPanel, column: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout_controls, "ask_class", lambda _: pytest.fail("asked"))
    theirs = panel.viewer.add_points([[3, 4], [50, 60]], features={"class": column}, name="theirs")
    panel.layout_controls.layer.value = "theirs"
    assert panel.layout_controls.points is theirs
    assert names(theirs)[0] == "epithelial"
    layout = panel.layout_controls.layout_now()
    assert layout.shape == (64, 64) and layout.mpp == 0.5


def test_a_points_layer_without_classes_asks_once(
    panel: CoSynthPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(layout_controls, "ask_class", lambda n: asked.append(n) or n[2])
    theirs = panel.viewer.add_points([[3, 4], [50, 60]], name="theirs")
    panel.layout_controls.layer.value = "theirs"
    other = panel.layout_controls.new_layout()
    panel.layout_controls.use_layer(theirs)
    assert names(theirs) == ["spindle-shaped"] * 2 and len(asked) == 1
    assert panel.layout_controls.points is theirs and other in panel.viewer.layers


def test_of_unknown_classes_it_is_asked_which_of_ours_they_are(
    panel: CoSynthPanel, points: Points, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = ["martian", "2", "dust", "martian"]
    layer = panel.viewer.add_points(np.eye(4, 2) * 9 + 5, features={"class": theirs}, name="theirs")
    asked: list[list[str]] = []

    def answer(result: Any) -> None:
        def ask(found: list[str], *_: Any) -> Any:
            asked.append(found)
            return result

        monkeypatch.setattr(points_module, "ask_classes", ask)

    answer(None)
    panel.layout_controls.layer.value = "theirs"
    assert panel.layout_controls.points is points
    assert panel.layout_controls.layer.value == points.name
    assert list(layer.features["class"]) == theirs
    answer({"martian": "inflammatory", "dust": ""})
    panel.layout_controls.layer.value = "theirs"
    assert panel.layout_controls.points is layer
    assert names(layer) == ["inflammatory", "epithelial", "inflammatory"]
    assert asked == [["martian", "dust", "martian"]] * 2


def test_naparis_own_csv_of_a_layout_loads_back(
    panel: CoSynthPanel, points: Points, classes: ClassTable, tmp_path: Any
) -> None:
    points.add([[33.25, 7.5]])
    path = points.save(str(tmp_path / "layout.csv"), plugin="napari")
    assert path
    same(read_layout(path[0], (64, 64), 0.5, classes), layout_from(points))


def test_a_dragged_point_is_one_step_of_undo(panel: CoSynthPanel, points: Points) -> None:
    """As napari's mouse binding moves a point: blocked data events, then a last one."""
    history = panel.layout_controls.editor.history
    start = points.data.copy()
    for step in range(1, 4):
        with points.events.data.blocker():
            points._move({0}, start[0] + step)
    points._move({0}, start[0] + 4)
    assert history.can_undo
    panel.layout_controls.editor.undo()
    np.testing.assert_array_equal(points.data, start)
    assert not history.can_undo
