"""A canvas above the limit goes by windows, and nobody who asked for it need know."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest

from napari_cosynth.geometry.windows import Windows
from napari_cosynth.synthesis import trajectories
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.types import ClassTable, Layout, Previews, Progress, Request, Synthesis

SHAPE = (90, 130)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trajectories, "LARGEST_WHOLE", 64)
    monkeypatch.setattr(trajectories, "Windows", lambda grid: Windows(48, 16, grid))


@pytest.fixture
def request_(tiny_checkpoint: Path, classes: ClassTable) -> Request:
    centroids = np.random.default_rng(0).uniform(0, SHAPE, (30, 2)).astype(np.float32) - 0.5
    layout = Layout(centroids, np.arange(30) % 3 + 1, SHAPE, 0.5, classes)
    return Request(layout, "tissue", str(tiny_checkpoint), steps=2, seeds=(7,), device="cpu")


def samples(request: Request) -> list[Synthesis]:
    return [e for e in synthesize(request) if isinstance(e, Synthesis)]


def test_progress_comes_within_steps_and_previews_after_them(request_: Request) -> None:
    events = list(synthesize(request_, Previews(every=1)))
    sample = events.pop()
    assert isinstance(sample, Synthesis) and sample.record.image.shape == (*SHAPE, 3)
    progress = [e for e in events if isinstance(e, Progress)]
    assert len(progress) == len(events) > 2 * 6
    done = [e.step + e.part for e in progress]
    assert done == sorted(done) and done[-1] == 2
    shown = [e for e in progress if e.image is not None]
    assert [e.step for e in shown] == [1, 2] and all(e.part == 0 for e in shown)
    assert all(e.image.shape == (*SHAPE, 3) and e.labels.shape == SHAPE for e in shown)
    np.testing.assert_array_equal(shown[-1].image, sample.record.image)
    np.testing.assert_array_equal(shown[-1].labels, sample.raw_labels)


def test_a_large_canvas_is_shown_within_a_step_as_far_as_it_has_come(request_: Request) -> None:
    events = synthesize(request_, Previews(after=1e-9))
    shown = [e for e in events if isinstance(e, Progress) and e.image is not None]
    first = next(e for e in shown if e.step == 1 and e.part == 0)
    within = [e for e in shown if e.step == 0]
    assert within and all(0 < e.part <= 1 for e in within)
    there = [(e.image == first.image).all(axis=2) for e in within]
    # Window by window: a part at first, and at the end all of it.
    assert there[0].any() and not there[0].all()
    assert [int(p.sum()) for p in there] == sorted(int(p.sum()) for p in there)
    second = next(e for e in shown if e.step == 1 and e.part > 0.5)
    last = next(e for e in shown if e.step == 2)
    assert (second.image[0] == last.image[0]).all() and (second.image[-1] == first.image[-1]).all()


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_seed_gives_the_same_canvas_alone_and_among_others(
    request_: Request, guidance: float
) -> None:
    request_ = dataclasses.replace(request_, guidance=guidance)
    among = samples(dataclasses.replace(request_, seeds=(7, 8)))
    (alone,) = samples(dataclasses.replace(request_, seeds=(8,)))
    for name in ("image", "labels", "instances", "distance"):
        expected = getattr(alone.record, name)
        np.testing.assert_array_equal(expected, getattr(among[1].record, name))
    assert (alone.record.image != among[0].record.image).any()


def test_a_cancelled_run_leaves_nothing_behind(
    request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    running = synthesize(dataclasses.replace(request_, steps=1000))
    for _ in range(10):
        next(running)
    # Not even while it runs is there a name that a killed process could leave.
    assert list(tmp_path.glob("*cosynth*")) == []
    running.close()
    with pytest.raises(StopIteration):
        next(running)


def test_with_a_scratch_folder_a_run_goes_on_where_it_stopped(
    request_: Request, tmp_path: Path
) -> None:
    (whole,) = samples(request_)
    scratch = tmp_path / "scratch"
    running = synthesize(request_, scratch=scratch)
    while next(running).step < 1:
        pass
    running.close()
    events = list(synthesize(request_, scratch=scratch))
    assert min(e.step for e in events if isinstance(e, Progress)) == 1
    np.testing.assert_array_equal(events[-1].record.image, whole.record.image)
    # A run that had finished is read, not sampled.
    again = list(synthesize(request_, scratch=scratch))[-1]
    np.testing.assert_array_equal(again.record.instances, whole.record.instances)
