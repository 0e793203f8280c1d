"""Live: every edit is sampled, the newest wins, and undo brings back points and pixels."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from napari.layers import Points

from killed_sessions import made
from napari_cosynth.geometry.edits import changed_box
from napari_cosynth.synthesis.resynthesize import REACH
from napari_cosynth.types import Layout, Synthesis
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.placement import free_placement
from napari_cosynth.widget.result.result_view import LiveView
from napari_cosynth.widget.run import live, sampling_controls

WAIT = 120_000


class Watch:
    """The samples that a dock shows."""

    def __init__(self, panel: CoSynthPanel, qtbot: Any) -> None:
        self.panel, self.qtbot = panel, qtbot
        self.samples: list[Synthesis] = []
        panel.live.shown.connect(self.samples.append)

    def rest(self) -> Synthesis:
        """The sample of the full number of steps, once the hand has rested."""
        panel = self.panel

        def settled() -> bool:
            return (
                bool(self.samples)
                and not panel.live.busy
                and self.samples[-1].request.steps == panel.sampling.steps.value
                and len(self.samples[-1].record.layout) == len(panel.layout_controls.points.data)
            )

        self.qtbot.waitUntil(settled, timeout=WAIT)
        return self.samples[-1]


@pytest.fixture
def watch(
    panel: CoSynthPanel, points: Points, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> Watch:
    monkeypatch.setattr(sampling_controls, "USUAL_DRAFT", 2)
    panel.sampling.steps.value = 3
    return Watch(panel, qtbot)


def test_an_edit_is_followed_by_a_draft_and_then_by_the_full_steps(
    panel: CoSynthPanel, points: Points, watch: Watch
) -> None:
    panel.sampling.live.value = True
    first = watch.rest()
    assert [s.request.steps for s in watch.samples] == [2, 3]
    points.add([[55, 10]])
    second = watch.rest()
    assert [s.request.steps for s in watch.samples] == [2, 3, 2, 3]
    assert len(second.record.layout) == 5
    assert (first.record.image != second.record.image).any()
    (group,) = results.groups(panel.viewer).values()
    np.testing.assert_array_equal(group["image"].data, second.record.image)
    assert group["image"].metadata["cosynth"]["recipes"][0]["steps"] == 3


def test_undo_brings_back_points_and_pixels_without_sampling(
    panel: CoSynthPanel, points: Points, watch: Watch
) -> None:
    panel.sampling.live.value = True
    first = watch.rest()
    points.add([[55, 10]])
    watch.rest()
    count = len(watch.samples)
    panel.layout_controls.editor.undo()
    assert watch.rest() is first
    assert len(watch.samples) == count + 1
    (group,) = results.groups(panel.viewer).values()
    np.testing.assert_array_equal(group["image"].data, first.record.image)


def test_the_newest_edit_wins(panel: CoSynthPanel, points: Points, watch: Watch) -> None:
    panel.sampling.steps.value = 6
    live_runs: list[str] = []
    panel.runner.ended.connect(live_runs.append)
    panel.sampling.live.value = True
    watch.qtbot.waitUntil(lambda: panel.live.busy, timeout=WAIT)
    # While the first draft runs: three edits, of which only the last is worth sampling.
    for row in range(3):
        points.add([[50 + row, 8]])
    assert len(watch.rest().record.layout) == 7
    assert {len(s.record.layout) for s in watch.samples} <= {4, 7}


def test_switching_off_drops_what_runs_and_keeps_the_result(
    panel: CoSynthPanel, points: Points, watch: Watch
) -> None:
    panel.sampling.live.value = True
    watch.rest()
    points.add([[55, 10]])
    panel.sampling.live.value = False
    watch.qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)
    count = len(watch.samples)
    points.add([[5, 50]])
    assert not panel.live.busy and len(watch.samples) == count
    assert len(results.groups(panel.viewer)) == 1


def test_synthesise_takes_over_from_live(panel: CoSynthPanel, points: Points, watch: Watch) -> None:
    panel.sampling.live.value = True
    watch.qtbot.waitUntil(lambda: panel.live.busy, timeout=WAIT)
    panel.bar.synthesise.native.click()
    watch.qtbot.waitUntil(
        lambda: any("#" in name for name in results.groups(panel.viewer)), timeout=WAIT
    )


def test_a_layout_that_cannot_be_sampled_waits_and_says_why(
    panel: CoSynthPanel, points: Points, watch: Watch
) -> None:
    panel.sampling.live.value = True
    watch.rest()
    count = len(watch.samples)
    points.add([[10, 300]])
    watch.qtbot.waitUntil(lambda: "outside" in panel.bar.status.value, timeout=WAIT)
    assert len(watch.samples) == count
    panel.layout_controls.editor.undo()
    watch.rest()


def test_a_large_canvas_is_sampled_around_the_edit_only(
    panel: CoSynthPanel, layout: Layout, watch: Watch
) -> None:
    large = dataclasses.replace(layout, shape=(320, 288))
    points = panel.layout_controls.add_layout(free_placement(large.shape, large.mpp, []), large)
    panel.sampling.live.value = True
    first = watch.rest()
    points.add([[300, 200]])
    second = watch.rest()
    box = changed_box(first.request.layout, second.request.layout)
    free = box.grown(REACH).clipped(large.shape)
    outside = np.ones(large.shape, bool)
    outside[free.slices] = False
    np.testing.assert_array_equal(first.record.image[outside], second.record.image[outside])
    np.testing.assert_array_equal(first.raw_labels[outside], second.raw_labels[outside])
    assert (first.record.image[~outside] != second.record.image[~outside]).any()
    assert second.recipe["resampled"]


def test_a_layout_left_during_its_draft_gets_no_sample(
    panel: CoSynthPanel, points: Points, layout: Layout, watch: Watch
) -> None:
    beside = dataclasses.replace(
        free_placement(layout.shape, layout.mpp, []), origin=(100.0, 100.0)
    )
    other = panel.layout_controls.add_layout(beside, layout)
    other.add([[10, 300]])
    panel.layout_controls.use_layer(points)
    panel.sampling.live.value = True
    watch.qtbot.waitUntil(lambda: panel.live.busy, timeout=WAIT)
    panel.layout_controls.use_layer(other)
    assert panel.runner.cancelled
    watch.qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)
    assert not watch.samples and not results.groups(panel.viewer)


def test_a_draft_of_points_that_are_gone_is_dropped(
    panel: CoSynthPanel, points: Points, watch: Watch
) -> None:
    panel.sampling.live.value = True
    watch.qtbot.waitUntil(lambda: panel.live.busy, timeout=WAIT)
    points.add([[10, 300]])
    panel.live._draft()  # as the timer would, a moment later
    assert panel.runner.cancelled
    watch.qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)
    assert not watch.samples


def test_a_finer_grid_gets_layers_of_its_own_and_what_is_seen_stays(
    panel: CoSynthPanel, points: Points, layout: Layout
) -> None:
    view = LiveView(panel.viewer)
    view.show(made(layout, 0), points, layout.mpp)
    (first,) = results.groups(panel.viewer).values()
    first["labels"].visible, first["instances"].visible = True, False
    view.show(made(layout, 1), points, layout.mpp)
    assert first["labels"].visible and not first["instances"].visible
    assert len(results.groups(panel.viewer)) == 1
    view.show(made(layout.scaled_to(layout.mpp / 2), 0), points, layout.mpp / 2)
    _, second = results.groups(panel.viewer).values()
    for role, layer in second.items():
        np.testing.assert_allclose(layer.scale, first[role].scale / 2)
        assert layer.data.shape[:2] == (128, 128)
    assert second["image"].visible and not first["image"].visible


def test_clicks_faster_than_a_step_are_seen_while_they_come(
    panel: CoSynthPanel, points: Points, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each draft is superseded during its first step; its estimate is shown before it ends."""
    monkeypatch.setattr(sampling_controls, "USUAL_DRAFT", 4)
    panel.sampling.steps.value = 8
    seen: list[int] = []
    said: list[str] = []
    rows = iter(range(4))

    def click(*_: object) -> None:
        # The next click comes just as a draft begins, before its first step is done.
        if (row := next(rows, None)) is not None:
            points.add([[50 + row, 8]])
            panel.live._draft()  # as the timer would, a moment later

    panel.live.previewed.connect(lambda progress: seen.append(len(watch.samples)))
    panel.live.began.connect(click)
    panel.runner.ended.connect(lambda _: said.append(str(panel.bar.status.value)))
    panel.sampling.live.value = True
    sample = watch.rest()
    assert len(sample.record.layout) == len(points.data) == 8
    # Four superseded drafts, each with an estimate, before the first sample of all.
    assert seen[:4] == [0] * 4
    assert said and not any("cancelled" in text for text in said)


def test_the_newest_samples_are_remembered_as_many_as_fit(
    panel: CoSynthPanel, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [made(layout, seed) for seed in range(4)]
    monkeypatch.setattr(live, "REMEMBERED", 2 * samples[0].nbytes + 1)
    for sample in samples:
        panel.live._remember(sample)
    known = [panel.live._remembered(sample.request) is sample for sample in samples]
    assert known == [False, False, True, True]
    monkeypatch.setattr(live, "REMEMBERED", 1)
    panel.live._remember(samples[0])  # the newest is kept, however large it is
    assert panel.live._remembered(samples[0].request) is samples[0]
    assert panel.live._remembered(samples[3].request) is None
