"""An image sampled for given labels: they stay to the last pixel, and the image follows its seed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_cosynth.records.base import make_record
from napari_cosynth.records.perturb import perturbed
from napari_cosynth.synthesis.repaint import NEAR, repaint, repaint_around
from napari_cosynth.types import ClassTable, Record, Request, Synthesis


def nuclei(classes: ClassTable, shape: tuple[int, int] = (70, 83)) -> Record:
    y, x = np.indices(shape)
    instances = np.zeros(shape, np.int32)
    for k, (cy, cx) in enumerate([(12, 12), (20, 60), (50, 30), (66, 80), (30, 24)], start=1):
        instances[(y - cy) ** 2 + (x - cx) ** 2 <= 36] = k
    table = np.array([0, 1, 2, 3, 1, 2], np.uint8)
    image = np.full((*shape, 3), 200, np.uint8)
    return make_record(image, instances, table[instances], classes, 0.5, source="a/tile.png")


def samples(record: Record, checkpoint: object, **changes: object) -> list[Synthesis]:
    request = Request(record.layout, "tissue", str(checkpoint), steps=2, device="cpu")
    request = dataclasses.replace(request, **changes)  # type: ignore[arg-type]
    return [e for e in repaint(request, record) if isinstance(e, Synthesis)]


def test_labels_stay_and_the_image_is_new(tiny_checkpoint, classes):
    record = nuclei(classes)
    one, two = samples(record, tiny_checkpoint, seeds=(3, 4))
    for sample in (one, two):
        for name in ("instances", "labels", "distance"):
            np.testing.assert_array_equal(getattr(sample.record, name), getattr(record, name))
        assert sample.record.image.shape == record.image.shape
    assert (one.record.image != two.record.image).any()
    (again,) = samples(record, tiny_checkpoint, seeds=(4,))
    np.testing.assert_array_equal(again.record.image, two.record.image)
    assert one.recipe["labels_of"] == "tile.png"


def test_the_image_answers_to_the_labels(tiny_checkpoint, classes):
    """The same points and seed under other labels give another image."""
    record = nuclei(classes)
    bare = dataclasses.replace(
        record,
        instances=np.zeros_like(record.instances),
        labels=np.zeros_like(record.labels),
        distance=np.zeros_like(record.distance),
    )
    ((full,), (empty,)) = (samples(r, tiny_checkpoint, seeds=(3,)) for r in (record, bare))
    assert (full.record.image != empty.record.image).any()


def test_classes_are_matched_by_name(tiny_checkpoint, classes):
    record = nuclei(classes)
    names = ClassTable.of("spindle-shaped", "inflammatory", "epithelial")
    table = np.array([0, *(names.index(n) for n in classes.names[1:])], np.uint8)
    other = dataclasses.replace(
        record,
        labels=table[record.labels],
        layout=dataclasses.replace(
            record.layout, class_ids=table[record.layout.class_ids], classes=names
        ),
    )
    ((first,), (second,)) = (samples(r, tiny_checkpoint, seeds=(3,)) for r in (record, other))
    np.testing.assert_array_equal(first.record.image, second.record.image)
    np.testing.assert_array_equal(second.record.labels, other.labels)


def test_nuclei_without_points_are_nuclei_too(tiny_checkpoint, classes):
    """Of a class that no point has: the network is given what the labels say."""
    record = nuclei(classes)
    rare = record.layout.class_ids[0]
    kept = record.layout.class_ids != rare
    layout = dataclasses.replace(
        record.layout,
        centroids=record.layout.centroids[kept],
        class_ids=record.layout.class_ids[kept],
    )
    without = np.where(record.labels == rare, 0, record.labels)
    erased = dataclasses.replace(
        record, labels=without, instances=np.where(without, record.instances, 0), layout=layout
    )
    ((one,), (other,)) = (
        samples(r, tiny_checkpoint, seeds=(3,))
        for r in (dataclasses.replace(record, layout=layout), erased)
    )
    assert (one.record.image != other.record.image).any()


def test_another_scale_is_refused(tiny_checkpoint, classes):
    record = nuclei(classes)
    layout = dataclasses.replace(record.layout, mpp=0.25)
    fine = dataclasses.replace(record, mpp=0.25, layout=layout)
    with pytest.raises(ValueError, match=r"tile.png: expected 0.5 µm/px, got 0.25"):
        samples(fine, tiny_checkpoint)


def test_perturbed_labels_move_and_agree(classes):
    record = nuclei(classes, (96, 96))
    other = perturbed(record, np.random.default_rng(0))
    assert (other.instances != record.instances).any()
    np.testing.assert_array_equal(other.instances > 0, other.labels > 0)
    assert len(other.layout) == len(record.layout)
    counts = [np.bincount(r.layout.class_ids, minlength=4).tolist() for r in (record, other)]
    assert counts[0] == counts[1]
    areas = [(r.labels > 0).sum() for r in (record, other)]
    assert areas[1] == pytest.approx(areas[0], rel=0.15)
    again = perturbed(record, np.random.default_rng(0))
    np.testing.assert_array_equal(again.instances, other.instances)


def test_only_what_is_near_a_correction_is_painted_anew(tiny_checkpoint, classes):
    record = nuclei(classes, (260, 300))
    changed = np.zeros(record.labels.shape, bool)
    changed[100:104, 60:66] = True
    request = Request(record.layout, "tissue", str(tiny_checkpoint), steps=2, device="cpu")
    events = list(repaint_around(request, record, changed))
    made = events[-1]
    assert isinstance(made, Synthesis)
    new = (made.record.image != record.image).any(2)
    near = np.zeros_like(changed)
    near[100 - NEAR : 104 + NEAR, 60 - NEAR : 66 + NEAR] = True
    assert new[changed].any() and not new[~near].any() and new[near].mean() > 0.9
    for name in ("instances", "labels", "distance"):
        np.testing.assert_array_equal(getattr(made.record, name), getattr(record, name))
    assert made.record.layout is record.layout
    with pytest.raises(ValueError, match="expected a label that changed"):
        repaint_around(request, record, np.zeros_like(changed)).__next__()
