"""The Refine buttons in a real viewer, from a painted nucleus to a saved stack."""

import dataclasses

import numpy as np
import pytest
from napari.layers import Layer
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt

from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.geometry.edits import edit_between, undone
from napari_cosynth.records.base import make_record
from napari_cosynth.types import ClassTable
from napari_cosynth.widget.layers.layout import layout_from
from napari_cosynth.widget.layers.record_layers import record_layers
from napari_cosynth.widget.layout.points import LayoutEditor
from napari_cosynth.widget.result.dropping import Drops
from napari_cosynth.widget.result.refine import RefinePanel

CLASSES = ClassTable.of("inflammatory", "spindle-shaped")


def a_record():
    instances = np.zeros((32, 32), np.int32)
    instances[4:10, 4:10] = 1
    instances[4:10, 10:16] = 2
    instances[20:26, 20:28] = 3
    labels = np.array([0, 1, 1, 2], np.uint8)[instances]
    image = np.full((32, 32, 3), 200, np.uint8)
    return make_record(image, instances, labels, CLASSES, 0.5, "colon", "tile")


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


def opened(viewer, count=1, group="g"):
    """A refine panel over one result, as the stack reader shows it."""
    panel = RefinePanel(viewer)
    viewer.window.add_dock_widget(panel, name="Refine")
    records = tuple(
        dataclasses.replace(a_record(), image=np.full((32, 32, 3), i, np.uint8))
        for i in range(count)
    )
    for layer in record_layers(records, [{"seed": i} for i in range(count)], group):
        viewer.add_layer(Layer.create(*layer))
    return panel


def layer(viewer, role, group="g"):
    return viewer.layers[f"{group} · {role}"]


def warnings():
    return [n.message for n in notification_manager.records if str(n.severity) == "warning"]


@pytest.fixture(autouse=True)
def no_old_notifications():
    notification_manager.records.clear()


def test_buttons_wait_for_a_result(viewer):
    panel = RefinePanel(viewer)
    assert not panel.separate.enabled
    panel.let_go()
    panel = opened(viewer)
    assert panel.separate.enabled
    assert panel.result.value == "g"
    assert panel.points.value is layer(viewer, "layout")
    assert list(panel.new_class.choices)[1:] == ["inflammatory", "spindle-shaped"]


def test_re_separate_after_a_point_is_added(viewer):
    panel = opened(viewer)
    points = layer(viewer, "layout")
    layer(viewer, "labels").data[14:18, 4:10] = 2
    points.feature_defaults = {"class": "spindle-shaped", "note": ""}
    points.add([15, 6])
    panel.separate.native.click()
    instances = layer(viewer, "instances").data
    assert set(np.unique(instances)) == {0, 1, 2, 3, 4}
    assert (instances[14:18, 4:10] == 4).all()
    assert panel.status.value == "4 points; every point has its nucleus"
    assert layer(viewer, "instances").features["class"].tolist()[4] == "spindle-shaped"


def test_update_restore_and_save(viewer, tmp_path):
    panel = opened(viewer)
    instances = layer(viewer, "instances")
    instances.data[15:19, 4:9] = 7  # a new nucleus
    instances.data[instances.data == 2] = 0  # and one less
    panel.update_rest.native.click()
    assert warnings() == ["g: instance 7 lies on no label: choose a class for new nuclei"]
    panel.new_class.value = "spindle-shaped"
    panel.update_rest.native.click()
    labels, distance = layer(viewer, "labels").data, layer(viewer, "distance").data
    np.testing.assert_array_equal(labels > 0, instances.data > 0)
    np.testing.assert_array_equal(distance > 0, instances.data > 0)
    assert labels[16, 5] == 2
    points = layer(viewer, "layout")
    assert len(points.data) == 3
    assert sorted(points.features["class"]) == ["inflammatory", "spindle-shaped", "spindle-shaped"]

    panel.save_to(tmp_path / "stack")
    (saved,) = StackDataset(tmp_path / "stack")
    np.testing.assert_array_equal(saved.instances, instances.data)
    (recipe,) = StackDataset(tmp_path / "stack").samples
    (edit,) = recipe.pop("relaid")  # leads back to the points that were sampled
    assert recipe == {"seed": 0, "edited": True}
    assert not any(edit_between(undone(saved.layout, edit), a_record().layout).values())

    panel.restore.native.click()
    raw = a_record()
    for role in ("labels", "instances", "distance"):
        np.testing.assert_array_equal(layer(viewer, role).data, getattr(raw, role))
    np.testing.assert_array_equal(layer(viewer, "layout").data, raw.layout.centroids)


def test_undo_after_an_update_takes_back_whole_steps(viewer):
    panel = opened(viewer)
    instances, labels = layer(viewer, "instances"), layer(viewer, "labels")
    drawn = instances.data.copy()
    instances.selected_label = 9
    instances.brush_size = 4
    instances.paint((15, 26), 9)  # a nucleus, which gets another id when all are numbered again
    instances.selected_label = 0
    instances.fill((6, 6), 0)  # and one gone: those after it are renumbered
    painted = instances.data.copy()
    labels_before = labels.data.copy()
    panel.new_class.value = "inflammatory"
    panel.update_rest.changed.emit(True)
    updated = instances.data.copy()
    assert sorted(np.unique(updated)) == [0, 1, 2, 3]

    instances.undo()
    np.testing.assert_array_equal(instances.data, painted)
    labels.undo()
    np.testing.assert_array_equal(labels.data, labels_before)
    instances.redo()
    np.testing.assert_array_equal(instances.data, updated)
    for _ in range(3):
        instances.undo()
    np.testing.assert_array_equal(instances.data, drawn)
    # What an undo shows is a result like any other.
    panel.update_rest.changed.emit(True)
    assert len(layer(viewer, "layout").data) == 3


def test_save_refuses_what_disagrees_in_one_line(viewer, tmp_path):
    panel = opened(viewer)
    layer(viewer, "instances").data[0:2, 0:2] = 9
    with pytest.raises(ValueError, match="disagree in 4 pixels: press Update from instances"):
        panel.save_to(tmp_path / "stack")
    assert not (tmp_path / "stack").exists()


def test_drawn_layout_stays_as_it_is(viewer):
    panel = opened(viewer)
    drawn = layer(viewer, "layout")
    drawn.metadata["cosynth"]["result"] = drawn.name = "drawn"
    before = drawn.data.copy()
    instances = layer(viewer, "instances")
    instances.data[instances.data == 2] = 0
    panel.refresh()
    panel.update_rest.native.click()
    np.testing.assert_array_equal(drawn.data, before)
    own = layer(viewer, "layout")
    assert len(own.data) == 2
    np.testing.assert_allclose(own.scale, instances.scale)
    assert panel.points.value is own


def test_a_drop_is_one_edit_of_the_result_s_layout(viewer):
    opened(viewer)
    points = layer(viewer, "layout")
    editor = LayoutEditor(points)
    editor.pick("inflammatory")
    before = layout_from(points)
    points.selected_data = set()
    Drops(viewer).drop(("g", 0), [1])
    assert points.features["class"].tolist() == ["inflammatory", "spindle-shaped"]
    assert editor.current == "inflammatory"
    editor.undo()
    assert not editor.history.can_undo
    np.testing.assert_array_equal(layout_from(points).centroids, before.centroids)
    np.testing.assert_array_equal(layout_from(points).class_ids, before.class_ids)


def test_another_result_s_points_are_not_taken(viewer):
    panel = opened(viewer)
    for made in record_layers((a_record(),), [{}], "other")[:4]:  # from a layout drawn by hand
        viewer.add_layer(Layer.create(*made))
    assert panel.result.value == "other" and panel.points.value is None
    panel.result.value = "g"
    assert panel.points.value is layer(viewer, "layout")
    panel.result.value = "other"
    assert panel.points.value is None


@pytest.mark.parametrize("result", ["g", "drawn"])
def test_a_renamed_layout_stays_chosen(viewer, result):
    panel = opened(viewer)
    points = layer(viewer, "layout")
    points.metadata["cosynth"]["result"] = result
    panel.points.value = points
    points.name = "corrected"
    assert panel.points.value is points
    assert panel.points.current_choice == "corrected"
    points.remove([0])
    panel.separate.native.click()
    assert panel.status.value.startswith("2 points")
    viewer.layers.remove(points)
    assert panel.points.value is None


def test_only_the_shown_sample_of_a_stack_changes(viewer):
    panel = opened(viewer, count=3)
    viewer.dims.set_point(0, 1)
    instances = layer(viewer, "instances")
    instances.data[1][instances.data[1] == 2] = 0
    panel.update_rest.native.click()
    raw = a_record()
    for sample, nuclei in enumerate((3, 2, 3)):
        assert len(np.unique(instances.data[sample])) == nuclei + 1
        assert (layer(viewer, "layout").data[:, 0] == sample).sum() == nuclei
        assert np.array_equal(layer(viewer, "labels").data[sample], raw.labels) == (sample != 1)
    panel.restore.native.click()
    np.testing.assert_array_equal(instances.data[1], raw.instances)
    assert (layer(viewer, "layout").data[:, 0] == 1).sum() == 3


def test_a_closed_panel_hears_nothing_more(viewer):
    panel = RefinePanel(viewer)
    panel.let_go()
    for layer in record_layers((a_record(),), [{}], "g"):
        viewer.add_layer(Layer.create(*layer))
    assert not panel.separate.enabled


def test_what_is_said_is_read_in_full_and_goes_with_its_result(viewer, tmp_path, qtbot):
    panel = opened(viewer)
    panel.resize(220, 400)
    panel.show()
    name = "stack_of_nuclei_" + "drawn_by_hand_" * 6
    panel.save_to(tmp_path / name)
    assert panel.status.value == f"saved in {name}: 1 sample"
    label = panel.status.native
    qtbot.waitUntil(lambda: label.height() >= label.heightForWidth(label.width()))
    laid = label.fontMetrics().boundingRect(
        0, 0, label.width(), 10_000, Qt.TextFlag.TextWordWrap, label.text()
    )
    assert laid.width() <= label.width()  # a name without spaces goes on in the next line
    assert label.sizeHint().width() < 10_000 and label.toolTip() == panel.status.value
    for role in ("image", "labels", "instances", "distance"):
        viewer.layers.remove(layer(viewer, role))
    assert panel.status.value == ""
