import dataclasses

import numpy as np
import pytest

from napari_cosynth.records.base import make_record
from napari_cosynth.records.refine import (
    separated_again,
    updated_from_instances,
    without_nuclei,
)
from napari_cosynth.types import ClassTable, Layout

CLASSES = ClassTable.of("inflammatory", "spindle-shaped")


@pytest.fixture
def record():
    instances = np.zeros((32, 32), np.int32)
    instances[4:10, 4:10] = 1
    instances[4:10, 10:16] = 2  # touches the first
    instances[20:26, 20:28] = 3
    labels = np.array([0, 1, 1, 2], np.uint8)[instances]
    image = np.zeros((32, 32, 3), np.uint8)
    return make_record(image, instances, labels, CLASSES, 0.5, "colon", "tile")


def test_watershed_gives_the_same_instances_back(record):
    again, report = separated_again(record)
    np.testing.assert_array_equal(again.instances, record.instances)
    np.testing.assert_array_equal(again.labels, record.labels)
    assert not any(report.to_json().values())


def test_a_point_less_merges_two_nuclei_and_is_reported(record):
    layout = record.layout
    fewer = Layout(
        layout.centroids[[0, 2]], layout.class_ids[[0, 2]], layout.shape, layout.mpp, CLASSES
    )
    again, report = separated_again(record, fewer)
    assert again.layout is fewer
    assert report.merged == (1,)
    assert set(np.unique(again.instances)) == {0, 1, 2}
    np.testing.assert_array_equal(again.labels > 0, again.instances > 0)


def test_a_layout_of_another_canvas_is_refused(record):
    empty = Layout(np.zeros((0, 2)), np.zeros(0), (16, 32), 0.5, CLASSES)
    with pytest.raises(ValueError, match=r"a layout of \(16, 32\)"):
        separated_again(record, empty)


def test_everything_follows_edited_instances(record):
    instances = record.instances.copy()
    instances[instances == 2] = 0  # removed
    instances[22:24, 28:30] = 3  # grown beyond its labels
    instances[14:18, 2:6] = 9  # new
    edited = dataclasses.replace(record, instances=instances)
    with pytest.raises(ValueError, match="tile: instance 9 lies on no label"):
        updated_from_instances(edited)
    updated = updated_from_instances(edited, new_class=2)
    assert sorted(np.unique(updated.instances)) == [0, 1, 2, 3]
    np.testing.assert_array_equal(updated.labels > 0, instances > 0)
    np.testing.assert_array_equal(updated.distance > 0, instances > 0)
    assert updated.labels[15, 3] == 2
    assert updated.labels[23, 29] == 2
    ids = [updated.instances[tuple(np.round(c).astype(int))] for c in updated.layout.centroids]
    assert ids == [1, 2, 3]
    assert updated.layout.class_ids.tolist() == [
        updated.labels[updated.instances == i][0] for i in (1, 2, 3)
    ]


def test_a_nucleus_cut_in_two_becomes_two(record):
    instances = record.instances.copy()
    instances[:, 24] = 0
    updated = updated_from_instances(dataclasses.replace(record, instances=instances))
    assert len(updated.layout) == 4


def test_a_record_without_some_nuclei_names_its_points_anew(record):
    spurious = record.instances.copy()
    spurious[14:16, 2:5] = 9
    record = dataclasses.replace(
        record, instances=spurious, labels=np.where(spurious == 9, np.uint8(2), record.labels)
    )
    rest = without_nuclei(record, [1])
    assert np.unique(rest.instances).tolist() == [0, 1, 2, 3]
    assert (rest.instances[spurious == 9] == 3).all()  # above the points that are left
    np.testing.assert_array_equal(rest.layout.centroids, record.layout.centroids[1:])
    assert rest.layout.class_ids.tolist() == [1, 2]
    for name in ("labels", "distance"):
        np.testing.assert_array_equal(
            getattr(rest, name), np.where(spurious == 1, 0, getattr(record, name))
        )
    np.testing.assert_array_equal(rest.image, record.image)
    nothing = without_nuclei(record, [1, 2, 3, 9])
    assert not nothing.instances.any() and not nothing.labels.any() and len(nothing.layout) == 0
    with pytest.raises(ValueError, match="tile: no instance or point 7"):
        without_nuclei(record, [1, 7])
