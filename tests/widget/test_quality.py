"""The quality dock in a real viewer, over a real result and over opened stacks."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from napari.layers import Layer
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt

from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.geometry.edits import edit_between, undone
from napari_cosynth.records.base import make_record
from napari_cosynth.types import ClassTable
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.docks.quality import QualityPanel
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.layout import layout_layer
from napari_cosynth.widget.layers.placement import free_placement
from napari_cosynth.widget.layers.record_layers import record_layers
from napari_cosynth.widget.result.marks import BOX
from napari_cosynth.widget.result.nuclei import FLAGS, nucleus_table
from napari_cosynth.widget.result.nuclei_model import AREA, CLASS, DROP, ID, NucleusModel
from napari_cosynth.widget.result.nuclei_view import EVERY_CLASS, NucleusView

CLASSES = ClassTable.of("inflammatory", "spindle-shaped")


def a_record():
    """Three nuclei of their points, the second of another class than its own point's, and a
    spurious one; a fifth point has no nucleus."""
    instances = np.zeros((32, 32), np.int32)
    instances[4:10, 4:10] = 1
    instances[4:10, 12:18] = 2
    instances[20:26, 20:28] = 3
    labels = np.array([0, 1, 1, 2], np.uint8)[instances]
    image = np.full((32, 32, 3), 200, np.uint8)
    record = make_record(image, instances, labels, CLASSES, 0.5, "colon", "tile")
    layout = dataclasses.replace(
        record.layout,
        centroids=np.concatenate([record.layout.centroids, [[28, 4]]]),
        class_ids=np.array([1, 2, 2, 1], np.uint8),
    )
    spurious = record.instances.copy()
    spurious[14:16, 2:5] = 5
    return dataclasses.replace(
        record,
        instances=spurious,
        labels=np.where(spurious == 5, np.uint8(2), record.labels),
        layout=layout,
    )


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def settled(qtbot):
    def wait(panel):
        qtbot.waitUntil(lambda: not panel.busy, timeout=20_000)

    return wait


def opened(viewer, count=1, group="g"):
    panel = QualityPanel(viewer)
    viewer.window.add_dock_widget(panel, name="CoSynth quality")
    for layer in record_layers((a_record(),) * count, [{"seed": i} for i in range(count)], group):
        viewer.add_layer(Layer.create(*layer))
    return panel


def column(panel, number):
    rows = range(panel.view.shown.rowCount())
    return [panel.view.shown.index(row, number).data() for row in rows]


def test_a_row_per_nucleus_with_what_is_wrong(viewer, settled):
    panel = opened(viewer)
    settled(panel)
    assert column(panel, ID) == ["1", "2", "3", "4", "5"]
    assert column(panel, CLASS)[:2] == ["inflammatory", "inflammatory"]
    assert column(panel, AREA) == ["9.0", "9.0", "12.0", "–", "1.5"]
    table = panel.model.table
    found = {name: table.ids[table.flags[:, i]].tolist() for i, name in enumerate(FLAGS)}
    assert found == {"flagged": [2], "missed": [4], "spurious": [5], "merged": []}
    assert panel.status.value == "4 nuclei, 1 flagged, 1 missed, 1 spurious"


def test_filter_sort_and_mark(viewer, settled):
    panel = opened(viewer)
    settled(panel)
    panel.flag_choice.value = "any flag"
    assert column(panel, ID) == ["2", "4", "5"]
    panel.class_choice.value = "spindle-shaped"
    assert column(panel, ID) == ["5"]
    panel.dropping.mark_shown.native.click()
    assert panel.model.marked == {5}
    panel.class_choice.value, panel.flag_choice.value = EVERY_CLASS, "all nuclei"
    panel.view.sortByColumn(AREA, Qt.SortOrder.DescendingOrder)
    assert column(panel, ID)[0] == "3"
    assert column(panel, ID)[-1] == "4"
    panel.flag_choice.value = "marked to drop"
    assert column(panel, ID) == ["5"]
    tick = panel.view.shown.index(0, DROP)
    panel.view.shown.setData(tick, Qt.CheckState.Unchecked, Qt.ItemDataRole.CheckStateRole)
    assert column(panel, ID) == []


def test_a_click_goes_to_the_nucleus(viewer, settled, qtbot):
    panel = opened(viewer)
    settled(panel)
    view = panel.view
    at = view.visualRect(view.shown.index(2, CLASS)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=at)
    instances = viewer.layers["g · instances"]
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], (22.5 * 0.5, 23.5 * 0.5))
    assert instances.selected_label == 3
    assert viewer.layers.selection.active is instances
    box = instances._overlays[BOX]
    np.testing.assert_allclose(np.mean(box.bounds, 0), (22.5, 23.5))
    assert box.visible and np.ptp(box.bounds, axis=0).min() >= 10
    instances.selected_label = 1  # picked in the viewer
    assert view.selected_ids() == [1]
    np.testing.assert_allclose(
        np.mean(instances._overlays[BOX].bounds, 0), panel.model.table.centroids[0]
    )


def test_marked_nuclei_are_red_in_the_viewer(viewer, settled):
    panel = opened(viewer)
    settled(panel)
    instances = viewer.layers["g · instances"]
    before = {i: instances.get_color(i).tolist() for i in (1, 2, 3)}
    panel.model.mark([2])
    assert instances.get_color(2).tolist() == [1, 0, 0, 1] != before[2]
    assert [instances.get_color(i).tolist() for i in (1, 3)] == [before[1], before[3]]
    panel.dropping.unmark.native.click()
    assert {i: instances.get_color(i).tolist() for i in (1, 2, 3)} == before
    assert (
        not panel.dropping.unmark.enabled
        and "no nucleus is marked" in panel.dropping.unmark.tooltip
    )
    panel.model.mark([2])
    assert panel.dropping.drop.enabled and "Not now" not in panel.dropping.drop.tooltip


def test_the_table_follows_the_brush_and_its_undo(viewer, settled):
    panel = opened(viewer)
    settled(panel)
    instances, labels = viewer.layers["g · instances"], viewer.layers["g · labels"]
    labels.data[10:12, 4:10] = 1
    instances.data_setitem((np.repeat([10, 11], 6), np.tile(np.arange(4, 10), 2)), 1)
    settled(panel)
    assert column(panel, AREA)[0] == "12.0"
    instances.undo()
    settled(panel)
    assert column(panel, AREA)[0] == "9.0"


def test_dropped_nuclei_are_gone_everywhere_until_undo(viewer, settled, tmp_path):
    panel = opened(viewer)
    settled(panel)
    panel.model.mark([1, 4, 5])
    panel.dropping.drop.native.click()
    settled(panel)
    layers = {role: viewer.layers[f"g · {role}"] for role in ("labels", "instances", "distance")}
    wanted = np.zeros((32, 32), np.int32)
    wanted[4:10, 12:18], wanted[20:26, 20:28] = 1, 2
    np.testing.assert_array_equal(layers["instances"].data, wanted)
    np.testing.assert_array_equal(layers["labels"].data > 0, wanted > 0)
    np.testing.assert_array_equal(layers["distance"].data > 0, wanted > 0)
    points = viewer.layers["g · layout"]
    np.testing.assert_array_equal(points.data, a_record().layout.centroids[[1, 2]])
    assert column(panel, ID) == ["1", "2"]
    assert not panel.model.marked

    panel.save_to(tmp_path / "stack")
    settled(panel)
    (saved,) = StackDataset(tmp_path / "stack")
    np.testing.assert_array_equal(saved.instances, wanted)
    assert saved.layout.class_ids.tolist() == [2, 2]
    (recipe,) = StackDataset(tmp_path / "stack").samples
    (edit,) = recipe.pop("relaid")  # leads back to the points that were sampled
    assert recipe == {"seed": 0, "edited": True}
    assert not any(edit_between(undone(saved.layout, edit), a_record().layout).values())

    panel.dropping.undo.native.click()
    settled(panel)
    np.testing.assert_array_equal(layers["instances"].data, a_record().instances)
    assert len(points.data) == 4
    panel.dropping.redo.native.click()
    np.testing.assert_array_equal(layers["instances"].data, wanted)
    results.discard(viewer, "g")
    assert panel.drops.undo() is None


def test_undo_leaves_another_result_of_the_same_name_alone(viewer, settled):
    panel = opened(viewer)
    settled(panel)
    panel.model.mark([1])
    panel.dropping.drop.native.click()
    settled(panel)
    drawn = layout_layer(a_record().layout, free_placement((32, 32), 0.5, []), "g")
    viewer.add_layer(drawn)
    results.discard(viewer, "g")
    assert list(viewer.layers) == [drawn]  # the result's own layout is gone with it
    settled(panel)
    for layer in record_layers((a_record(),), [{"seed": 1}], "g"):
        viewer.add_layer(Layer.create(*layer))
    labels = viewer.layers["g · labels"]
    labels.data = np.zeros_like(labels.data)
    settled(panel)
    assert not panel.drops.can_undo and not panel.dropping.undo.enabled
    assert panel.drops.undo() is None
    assert not labels.data.any()


def test_only_samples_with_a_tick_are_saved(viewer, settled, tmp_path):
    panel = opened(viewer, count=3)
    settled(panel)
    assert panel.samples.keys == [("g", 0), ("g", 1), ("g", 2)]
    panel.samples.tick(("g", 1), False)
    viewer.dims.set_point(0, 2)
    settled(panel)
    assert panel.samples.key == ("g", 2)
    panel.model.mark([5])
    panel.dropping.drop.native.click()
    settled(panel)
    panel.save_to(tmp_path / "stack")
    settled(panel)
    first, second = StackDataset(tmp_path / "stack")
    np.testing.assert_array_equal(first.instances, a_record().instances)
    assert second.instances.max() == 3
    assert [s["seed"] for s in StackDataset(tmp_path / "stack").samples] == [0, 2]


def test_what_cannot_be_saved_is_said_in_one_line(viewer, settled, tmp_path):
    panel = opened(viewer)
    settled(panel)
    notification_manager.records.clear()
    viewer.layers["g · labels"].data[0, 0] = 1
    panel.save_to(tmp_path / "stack")
    settled(panel)
    (told,) = [n.message for n in notification_manager.records if str(n.severity) == "warning"]
    assert "labels and instances disagree in 1 pixels" in told
    assert not (tmp_path / "stack").exists()


def test_a_fresh_result_has_its_reports_flags(
    panel: CoSynthPanel, points: Any, settled, qtbot
) -> None:
    quality = QualityPanel(panel.viewer)
    panel.viewer.window.add_dock_widget(quality, name="CoSynth quality")
    assert quality.samples.count() == 0
    panel.bar.synthesise.native.click()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=60_000)
    settled(quality)
    (name,) = results.groups(panel.viewer)
    assert quality.samples.key == (name, 0)
    labels = results.groups(panel.viewer)[name]["labels"]
    report = labels.metadata["cosynth_sample"].report
    table = quality.model.table
    for i, flag in enumerate(FLAGS):
        assert tuple(table.ids[table.flags[:, i]].tolist()) == getattr(report, flag)
    assert len(points.data) == 4
    quality.model.mark(table.ids[:1].tolist())
    quality.dropping.drop.native.click()
    settled(quality)
    assert len(points.data) == 4  # the drawn layout stays
    assert len(quality.model.table) == len(table) - 1
    results.discard(panel.viewer, name)
    settled(quality)
    assert quality.model.rowCount() == 0


def test_no_name_of_a_class_is_cut(qtbot):
    names = ("stroma", "inflammatory, of any kind", "spindle")
    instances = np.arange(4, dtype=np.int32).repeat(16).reshape(4, 16)
    labels = instances.astype(np.uint8)
    image = np.zeros((4, 16, 3), np.uint8)
    record = make_record(image, instances, labels, ClassTable.of(*names), 0.5, "colon", "tile")
    model = NucleusModel()
    view = NucleusView(model)
    qtbot.addWidget(view)
    model.show(nucleus_table(record))
    assert view.shown.rowCount() == 3
    for row in range(3):
        index = view.shown.index(row, CLASS)
        assert index.data() in names
        assert view.sizeHintForIndex(index).width() <= view.columnWidth(CLASS)


def test_ten_thousand_nuclei(qtbot):
    side = 800
    instances = np.zeros((side, side), np.int32)
    grid = np.arange(10_000, dtype=np.int32).reshape(100, 100) + 1
    for dy in range(1, 6):
        for dx in range(1, 6):
            instances[dy::8, dx::8] = grid
    labels = np.where(instances > 0, 1 + instances % 2, 0).astype(np.uint8)
    image = np.zeros((side, side, 3), np.uint8)
    model = NucleusModel()
    view = NucleusView(model)
    qtbot.addWidget(view)
    model.show(nucleus_table(make_record(image, instances, labels, CLASSES, 0.5)))
    view.sortByColumn(ID, Qt.SortOrder.DescendingOrder)
    assert view.shown.id_at(0) == 10_000
    view.shown.choose("inflammatory", "no flag")
    assert view.shown.rowCount() == 5_000
    assert set(model.table.class_ids[np.array(view.shown.ids()) - 1]) == {1}


def test_review_goes_from_nucleus_to_nucleus_and_is_kept_with_the_stack(
    viewer, settled, qtbot, tmp_path
):
    panel = opened(viewer)
    settled(panel)
    panel.review.following.native.click()
    assert panel.view.selected_ids() == [1] and panel.status.value.endswith("1 of 5 seen")
    viewer.layers.selection.active = viewer.layers["g · instances"]
    canvas = viewer.window._qt_viewer.canvas.native
    qtbot.keyClick(canvas, Qt.Key.Key_N)
    assert panel.view.selected_ids() == [2]
    panel.view.selectRow(3)  # by hand
    qtbot.keyClick(canvas, Qt.Key.Key_N)
    assert panel.view.selected_ids() == [5]
    qtbot.keyClick(canvas, Qt.Key.Key_N)  # round, and past what was seen
    assert panel.view.selected_ids() == [3] and panel.status.value.endswith("5 of 5 seen")
    panel.review.following.native.click()
    assert "every nucleus that is shown was looked at" in notification_manager.records[-1].message
    qtbot.keyClick(canvas, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    assert panel.view.selected_ids() == [2]

    panel.model.mark([1])
    panel.dropping.drop.native.click()
    settled(panel)
    assert panel.status.value.endswith("4 of 4 seen")  # the others have other ids, and were seen
    panel.save_to(tmp_path / "stack")
    settled(panel)
    # By place, the dropped one's too, which undo would bring back as seen.
    places = StackDataset(tmp_path / "stack").samples[0]["seen"]
    assert sorted(places) == [[7, 7], [7, 15], [15, 3], [23, 24], [28, 4]]


def test_a_selected_nucleus_is_re_tagged_and_back(viewer, settled, qtbot):
    panel = opened(viewer)
    settled(panel)
    labels = viewer.layers["g · labels"]
    nucleus = viewer.layers["g · instances"].data == 1
    at = panel.view.visualRect(panel.view.shown.index(0, CLASS)).center()
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert panel.view.selected_ids() == [1]
    panel.review.retag_to.value = "spindle-shaped"
    panel.review.retag.native.click()
    settled(panel)
    assert set(labels.data[nucleus]) == {2} and column(panel, CLASS)[0] == "spindle-shaped"
    assert panel.model.table.flags[0].sum() == 0  # its point is of that class, too
    panel.dropping.undo.native.click()
    settled(panel)
    assert set(labels.data[nucleus]) == {1} and column(panel, CLASS)[0] == "inflammatory"
