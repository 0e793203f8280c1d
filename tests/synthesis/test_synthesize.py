"""synthesize(): progress, seeds, grids, previews and the agreement of what it returns."""

from __future__ import annotations

import dataclasses
from time import perf_counter

import numpy as np
import pytest
import torch

from napari_cosynth.records.base import make_record
from napari_cosynth.synthesis.preparation import fit_layout, open_checkpoint
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.types import ClassTable, Layout, Previews, Progress, Request, Synthesis


@pytest.fixture
def request_(layout, tiny_checkpoint) -> Request:
    return Request(layout, "colon tissue", str(tiny_checkpoint), steps=3, seeds=(7,))


def samples(request: Request) -> list[Synthesis]:
    return [e for e in synthesize(request) if isinstance(e, Synthesis)]


def same(a: Synthesis, b: Synthesis) -> bool:
    return all(
        np.array_equal(getattr(a.record, f), getattr(b.record, f))
        for f in ("image", "labels", "instances", "distance")
    )


def test_events_come_in_order(request_):
    request, begun = dataclasses.replace(request_, seeds=(7, 8)), perf_counter()
    events = list(synthesize(request, Previews(every=2)))
    seconds = [e.seconds for e in events if isinstance(e, Synthesis)]
    assert min(seconds) > 0 and sum(seconds) < perf_counter() - begun
    kinds = ["p" if isinstance(e, Progress) else "s" for e in events]
    assert "".join(kinds) == "pppspp" + "ps"
    steps = [(e.seed, e.index, e.step) for e in events if isinstance(e, Progress)]
    assert steps == [(7, 0, 1), (7, 0, 2), (7, 0, 3), (8, 1, 1), (8, 1, 2), (8, 1, 3)]
    previews = [e.image is not None for e in events if isinstance(e, Progress)]
    assert previews == [False, True, True] * 2
    for every, shown in ((2, [2, 4, 5]), (3, [3, 5]), (1, [1, 2, 3, 4, 5]), (0, [])):
        several = dataclasses.replace(request, seeds=(7,), steps=5)
        found = [
            e.step
            for e in synthesize(several, Previews(every))
            if isinstance(e, Progress) and e.image is not None
        ]
        assert found == shown


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("sampler", ["fast", "ancestral"])
def test_a_seed_gives_the_same_sample_alone_and_among_others(request_, sampler, guidance):
    request_ = dataclasses.replace(request_, sampler=sampler, guidance=guidance)
    alone = samples(dataclasses.replace(request_, seeds=(8,)))[0]
    among = samples(dataclasses.replace(request_, seeds=(7, 8, 9)))
    assert same(alone, among[1])
    assert not same(alone, among[0])


def test_guidance_changes_the_sample_and_one_does_not(request_):
    plain = samples(request_)[0]
    assert not same(plain, samples(dataclasses.replace(request_, guidance=3.0))[0])


@pytest.mark.parametrize("shape", [(64, 64), (61, 70), (5, 9), (100, 33)])
def test_any_shape_is_padded_and_cropped(request_, classes, shape):
    one = Layout(np.array([[2, 2]]), np.array([1]), shape, 0.5, classes)
    record = samples(dataclasses.replace(request_, layout=one))[0].record
    assert record.image.shape == (*shape, 3)
    assert record.labels.shape == record.instances.shape == record.distance.shape == shape


def test_what_comes_back_agrees(request_):
    sample = samples(request_)[0]
    record = sample.record
    assert np.array_equal(record.labels > 0, record.instances > 0)
    assert np.array_equal(sample.raw_labels > 0, record.instances > 0)
    assert record.distance.min() >= 0
    assert record.distance.max() <= 1
    for i in np.unique(record.instances)[1:]:
        assert len(np.unique(record.labels[record.instances == i])) == 1
    make_record(
        record.image, record.instances, record.labels, record.classes, record.mpp
    )  # is training data


def test_a_layout_at_another_scale_is_brought_to_the_models_grid(request_, classes):
    fine = Layout(np.array([[20.5, 40.5]]), np.array([2]), (128, 160), 0.25, classes)
    record = samples(dataclasses.replace(request_, layout=fine))[0].record
    assert record.image.shape == (64, 80, 3)
    assert record.mpp == 0.5
    np.testing.assert_allclose(record.layout.centroids, [[10, 20]])


def test_points_that_meet_on_the_models_grid_are_named(request_, classes):
    near = Layout(np.array([[20, 20], [21, 21]]), np.array([1, 1]), (64, 64), 0.25, classes)
    with pytest.raises(ValueError, match="points 0 and 1 share"):
        synthesize(dataclasses.replace(request_, layout=near))


def test_classes_are_matched_by_name(tiny_checkpoint):
    checkpoint = open_checkpoint(str(tiny_checkpoint), torch.device("cpu"))
    mine = ClassTable.of("never used", "spindle-shaped")
    layout = Layout(np.array([[3, 3]]), np.array([2]), (64, 64), 0.5, mine)
    assert fit_layout(layout, checkpoint).class_ids.tolist() == [3]
    used = dataclasses.replace(layout, class_ids=np.array([1]))
    with pytest.raises(ValueError, match="unknown class 'never used'"):
        fit_layout(used, checkpoint)


def test_closing_stops_within_a_step(request_):
    running = synthesize(dataclasses.replace(request_, steps=1000))
    assert next(running).step == 1
    running.close()
    with pytest.raises(StopIteration):
        next(running)


@pytest.mark.parametrize(
    "change,message",
    [
        ({"sampler": "magic"}, "sampler: expected one of ancestral, fast"),
        ({"device": "tpu"}, "device: expected"),
        ({"device": "cuda:97"}, "device"),
        ({"checkpoint": "nowhere"}, "no checkpoint folder"),
    ],
)
def test_bad_requests_fail_before_the_first_step(request_, change, message):
    with pytest.raises(ValueError, match=message):
        synthesize(dataclasses.replace(request_, **change))


def test_the_recipe_says_what_reproduces_it(request_):
    sample = samples(dataclasses.replace(request_, prompt="colon zebra"))[0]
    recipe = sample.recipe
    assert recipe["synthetic"] is True
    assert recipe["seed"] == 7
    assert len(recipe["checkpoint_sha256"]) == 64
    assert recipe["unknown_words"] == ["zebra"]
    assert recipe["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
