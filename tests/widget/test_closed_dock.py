"""The main dock closed by napari's x: its run, its state, and the docks that work with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton

from napari_cosynth.types import Layout, Progress
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.placement import free_placement
from napari_cosynth.widget.qt.staying import dock_of
from napari_cosynth.widget.run.backend import InThread

WAIT = 60_000
PLUGIN = "napari-cosynth"


@pytest.fixture
def opened(
    make_napari_viewer: Callable[..., Any], tiny_checkpoint: Path, layout: Layout, qtbot: Any
) -> CoSynthPanel:
    """The dock as the menu opens it, in a window that is seen."""
    viewer = make_napari_viewer(show=True)
    panel = open_dock(viewer)
    panel.runner.backend = InThread()
    panel.model.use(str(tiny_checkpoint))
    panel.layout_controls.add_layout(free_placement(layout.shape, layout.mpp, []), layout)
    qtbot.waitUntil(panel.isVisible)
    return panel


def open_dock(viewer: Any, name: str = "CoSynth") -> Any:
    return viewer.window.add_plugin_dock_widget(PLUGIN, name)[1]


def close_dock(panel: CoSynthPanel, qtbot: Any) -> None:
    """Clicks the x of the dock's title bar."""
    bar = dock_of(panel).titleBarWidget()
    (cross,) = [b for b in bar.findChildren(QPushButton) if "close" in b.toolTip()]
    qtbot.mouseClick(cross, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: dock_of(panel) is None and panel.parentWidget() is not None)


def test_a_run_goes_on_where_it_is_seen_and_the_dock_comes_back_with_it(
    opened: CoSynthPanel, qtbot: Any
) -> None:
    viewer = opened.viewer
    gallery = open_dock(viewer, "CoSynth gallery")
    opened.sampling.steps.value = 1000
    opened.sampling.guidance.value = 2.5
    seen: list[Progress] = []
    opened.runner.progressed.connect(seen.append)
    opened.bar.synthesise.native.click()
    qtbot.waitUntil(lambda: bool(seen), timeout=WAIT)
    close_dock(opened, qtbot)
    assert opened.runner.busy and not opened.isVisible()
    assert "goes on sampling" in notification_manager.records[-1].message
    bar = opened.activity.bar
    assert bar is not None
    before = bar.n
    qtbot.waitUntil(lambda: bar.n > before, timeout=WAIT)
    assert gallery.vary.text == "Cancel"

    again = open_dock(viewer)
    qtbot.waitUntil(again.isVisible)
    assert again is opened and gallery.panel is again
    assert again.activity.bar is None
    assert again.sampling.guidance.value == 2.5 and again.bar.cancel.enabled
    qtbot.mouseClick(again.bar.cancel.native, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not again.runner.busy, timeout=WAIT)
    assert again.bar.status.value == "cancelled"


def test_the_gallery_and_the_dock_that_is_shown_share_their_results(
    opened: CoSynthPanel, qtbot: Any
) -> None:
    gallery = open_dock(opened.viewer, "CoSynth gallery")
    opened.sampling.steps.value = 2
    close_dock(opened, qtbot)
    again = open_dock(opened.viewer)
    gallery.count.value = 1
    gallery.vary.native.click()
    qtbot.waitUntil(lambda: not (again.runner.busy or again.gallery.busy), timeout=WAIT)
    assert again.results.name in results.groups(again.viewer)
    assert len(again.gallery.items) == len(gallery.gallery.items) == 1


def test_live_ends_with_the_dock(opened: CoSynthPanel, qtbot: Any) -> None:
    opened.sampling.steps.value = 2
    opened.sampling.live.value = True
    qtbot.waitUntil(lambda: bool(results.groups(opened.viewer)), timeout=WAIT)
    close_dock(opened, qtbot)
    qtbot.waitUntil(lambda: not opened.runner.busy, timeout=WAIT)
    opened.layout_controls.points.add([[5, 5]])
    assert not opened.live.on and not opened.sampling.live.value


def test_a_dock_opened_beside_a_closed_one_of_another_viewer_is_its_own(
    opened: CoSynthPanel, make_napari_viewer: Callable[..., Any], qtbot: Any
) -> None:
    close_dock(opened, qtbot)
    assert open_dock(make_napari_viewer()) is not opened


def test_runs_that_wait_go_on_behind_the_closed_dock(opened: CoSynthPanel, qtbot: Any) -> None:
    opened.sampling.random.value = False
    opened.sampling.steps.value = 1000
    seen: list[Progress] = []
    opened.runner.progressed.connect(seen.append)
    opened.bar.synthesise.native.click()
    qtbot.waitUntil(lambda: bool(seen), timeout=WAIT)
    opened.sampling.steps.value = 2
    for seed in (1, 2):
        opened.sampling.seed.value = seed
        opened.bar.synthesise.native.click()
    close_dock(opened, qtbot)
    shown: list[bool] = []
    opened.runner.began.connect(lambda: shown.append(opened.activity.bar is not None))
    opened.stop()
    qtbot.waitUntil(lambda: not opened.runner.busy, timeout=WAIT)
    assert shown == [True, True] and opened.activity.bar is None
    assert sorted(name.split("#")[1] for name in results.groups(opened.viewer)) == ["1", "2"]
