"""Runs that wait for the one that goes on: asked for, taken back, and going on behind a closed dock."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Points
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt

from napari_cosynth.types import Progress
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.layout import SAMPLE_KEY
from napari_cosynth.widget.layers.placement import free_placement

WAIT = 60_000


def begin_a_long_run(panel: CoSynthPanel, qtbot: Any) -> None:
    """One that goes on until it is cancelled."""
    seen: list[Progress] = []
    panel.sampling.steps.value = 1000
    panel.runner.progressed.connect(seen.append)
    qtbot.mouseClick(panel.bar.synthesise.native, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(seen), timeout=WAIT)
    panel.sampling.steps.value = 2


def settled(panel: CoSynthPanel, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not (panel.runner.busy or panel.gallery.busy), timeout=WAIT)


def seeds(panel: CoSynthPanel) -> list[int]:
    groups = results.groups(panel.viewer).values()
    return [group["labels"].metadata[SAMPLE_KEY].seed for group in groups]


def test_runs_wait_their_turn_with_the_settings_they_were_asked_with(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    panel.show()
    begin_a_long_run(panel, qtbot)
    queue, button = panel.bar.queue, panel.bar.synthesise.native
    assert queue.isHidden()
    for seed in (11, 12, 13):
        panel.sampling.seed.value = seed
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.mouseDClick(
        button, Qt.MouseButton.LeftButton
    )  # of the same once more: one click, and no run
    assert not queue.isHidden()
    assert list(queue.jobs.choices) == ["1. layout #11", "2. layout #12", "3. layout #13"]
    queue.jobs.value = "2. layout #12"
    qtbot.mouseClick(queue.drop.native, Qt.MouseButton.LeftButton)
    assert list(queue.jobs.choices) == ["1. layout #11", "2. layout #13"]
    panel.sampling.seed.value, panel.sampling.guidance.value = 99, 7
    points.add([[5, 5]])
    qtbot.mouseClick(panel.bar.cancel.native, Qt.MouseButton.LeftButton)
    settled(panel, qtbot)
    assert seeds(panel) == [11, 13] and queue.isHidden()
    for group in results.groups(panel.viewer).values():
        request = group["labels"].metadata[SAMPLE_KEY].request
        assert request.guidance == 1 and len(request.layout) == 4
    assert [item.entry.seed for item in panel.gallery.items] == [11, 13]


def test_all_that_wait_can_be_taken_back(panel: CoSynthPanel, points: Points, qtbot: Any) -> None:
    begin_a_long_run(panel, qtbot)
    for seed in (11, 12):
        panel.sampling.seed.value = seed
        panel.bar.synthesise.native.click()
    panel.bar.queue.drop_all.native.click()
    panel.bar.cancel.native.click()
    settled(panel, qtbot)
    assert not results.groups(panel.viewer) and panel.bar.status.value == "cancelled"


def test_of_a_layout_that_is_removed_no_run_is_left_and_others_go_on(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    begin_a_long_run(panel, qtbot)
    panel.bar.synthesise.native.click()
    other = panel.layout_controls.add_layout(free_placement((64, 64), 0.5, []))
    other.name = "other"
    other.add([[30, 30]])
    panel.bar.synthesise.native.click()
    assert [job.points for job in panel.runs.waiting.jobs] == [points, other]
    panel.viewer.layers.remove(points)
    assert "its synthesis is cancelled" in notification_manager.records[-1].message
    settled(panel, qtbot)
    (group,) = results.groups(panel.viewer)
    assert group.startswith("other #")
    assert panel.layout_controls.points is other and len(other.data) == 1


def test_a_repaint_waits_too(panel: CoSynthPanel, points: Points, qtbot: Any) -> None:
    panel.bar.synthesise.native.click()
    settled(panel, qtbot)
    (name,) = results.groups(panel.viewer)
    layers = results.groups(panel.viewer)[name]
    before, instances = layers["image"].data.copy(), layers["instances"]
    instances.data_setitem(np.nonzero(instances.data == instances.data.max()), 0)
    panel.refine.update_rest.native.click()
    panel.sampling.seed.value = 5
    begin_a_long_run(panel, qtbot)
    panel.results.choose(name)
    panel.refine.repaint_here.native.click()
    assert list(panel.bar.queue.jobs.choices) == [f"1. {name}, repainted"]
    panel.bar.cancel.native.click()
    settled(panel, qtbot)
    assert (layers["image"].data != before).any()
