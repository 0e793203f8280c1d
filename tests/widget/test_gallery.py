"""The gallery in a real viewer: variations, shown, kept, noted, saved, recovered after a kill."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Points
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QDockWidget

from killed_sessions import kill_while_writing, made
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.types import Layout
from napari_cosynth.widget.docks.gallery_dock import GalleryDock
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.gallery import session
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.layout import placement_from
from napari_cosynth.widget.result.dropping import Drops
from napari_cosynth.widget.result.shown import ShownResult

WAIT = 60_000


@pytest.fixture
def dock(panel: CoSynthPanel, points: Points, qtbot: Any) -> GalleryDock:
    dock = GalleryDock(panel.viewer)
    panel.viewer.window.add_dock_widget(dock, name="gallery")
    assert dock.panel is panel
    window = panel.viewer.window._qt_window
    window.resize(1280, 800)
    window.show()
    qtbot.waitExposed(window)
    qtbot.waitUntil(lambda: dock.view.viewport().height() > 300, timeout=WAIT)
    return dock


def settle(dock: GalleryDock, qtbot: Any) -> None:
    idle = lambda: not (dock.panel.runner.busy or dock.gallery.busy)  # noqa: E731
    qtbot.waitUntil(idle, timeout=WAIT)


def variations(dock: GalleryDock, qtbot: Any, count: int = 3) -> None:
    dock.count.value = count
    dock.vary.native.click()
    assert dock.vary.text == "Cancel"
    settle(dock, qtbot)


def fill(dock: GalleryDock, points: Points, qtbot: Any, count: int) -> None:
    """Samples that nobody had to compute, as if their layers had been removed."""
    layout = dock.panel.layout_controls.layout_now()
    for seed in range(count):
        group = f"layout #{seed}"
        dock.gallery.record(made(layout, seed), "layout", placement_from(points), group)
    settle(dock, qtbot)


def choose(dock: GalleryDock, qtbot: Any, *rows: int) -> None:
    """Clicks thumbnails, with Ctrl from the second on."""
    for number, row in enumerate(rows):
        dock.view.scrollTo(dock.gallery.index(row))
        qtbot.mouseClick(
            dock.view.viewport(),
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.ControlModifier if number else Qt.KeyboardModifier.NoModifier,
            dock.view.visualRect(dock.gallery.index(row)).center(),
        )
    settle(dock, qtbot)


def seeds(dock: GalleryDock) -> list[int]:
    return [item.entry.seed for item in dock.gallery.items]


def test_variations_follow_the_last_seed_and_leave_one_set_of_layers(
    dock: GalleryDock, qtbot: Any
) -> None:
    dock.panel.sampling.seed.value = 4
    variations(dock, qtbot, 2)
    assert seeds(dock) == [4, 5]
    variations(dock, qtbot, 1)
    assert seeds(dock) == [4, 5, 6]
    assert list(results.groups(dock.viewer)) == ["layout #6"]
    assert dock.panel.sampling.count.value == 1  # the form stays the user's
    for row in range(3):
        image = dock.gallery.items[row].thumbnail
        assert max(image.width(), image.height()) == 96


def test_a_click_shows_that_sample_s_pixels_in_its_place(
    dock: GalleryDock, points: Points, qtbot: Any
) -> None:
    fill(dock, points, qtbot, 3)
    for row in (0, 1, 0):
        choose(dock, qtbot, row)
        (name, layers), *others = results.groups(dock.viewer).items()
        assert name == f"layout #{row}" and not others
        record = dock.gallery._session.read(dock.gallery.items[row].number).record
        for role in results.ROLES:
            np.testing.assert_array_equal(layers[role].data, getattr(record, role))
            assert layers[role].name == f"{name} · {role}"
            np.testing.assert_allclose(layers[role].scale, points.scale)
            assert layers[role].units == points.units
        assert layers["image"].visible and layers["instances"].visible
        assert dock.panel.results.name == name


def test_layers_that_are_taken_again_keep_no_points_of_the_sample_before(
    dock: GalleryDock, points: Points, qtbot: Any
) -> None:
    fill(dock, points, qtbot, 1)
    points.data = points.data + 2
    layout = dock.panel.layout_controls.layout_now()
    dock.gallery.record(made(layout, 1), "layout", placement_from(points), "layout #1")
    settle(dock, qtbot)
    choose(dock, qtbot, 0)
    drops = Drops(dock.viewer)
    drops.drop(("layout #0", 0), [1])
    drops.undo()
    choose(dock, qtbot, 1)
    assert list(results.groups(dock.viewer)) == ["layout #1"]
    agreed = ShownResult(dock.viewer, "layout #1").agreed(0)
    np.testing.assert_allclose(agreed.layout.centroids, layout.centroids)


def test_layers_that_were_painted_are_left_alone(
    dock: GalleryDock, points: Points, qtbot: Any
) -> None:
    fill(dock, points, qtbot, 2)
    choose(dock, qtbot, 0)
    results.groups(dock.viewer)["layout #0"]["labels"].paint((3, 3), 2)
    choose(dock, qtbot, 1)
    assert set(results.groups(dock.viewer)) == {"layout #0", "layout #1"}
    choose(dock, qtbot, 0)
    assert results.groups(dock.viewer)["layout #0"]["labels"].data[3, 3] == 2


def test_results_of_synthesise_are_in_the_gallery_and_keep_their_layers(
    dock: GalleryDock, qtbot: Any
) -> None:
    dock.panel.sampling.count.value = 2
    dock.panel.bar.synthesise.native.click()
    settle(dock, qtbot)
    assert seeds(dock) == [0, 1] and len(results.groups(dock.viewer)) == 2
    captions = [dock.gallery.data(dock.gallery.index(row)) for row in (0, 1)]
    assert captions == ["layout #0\n2 steps", "layout #1\n2 steps"]
    choose(dock, qtbot, 1)
    dock.discard.native.click()
    settle(dock, qtbot)
    assert seeds(dock) == [0] and list(results.groups(dock.viewer)) == ["layout #0"]


def test_what_was_discarded_comes_back_until_the_next_is(
    dock: GalleryDock, points: Points, qtbot: Any
) -> None:
    fill(dock, points, qtbot, 3)
    choose(dock, qtbot, 1)
    name = dock.gallery.items[1].group
    results.groups(dock.viewer)[name]["labels"].paint((3, 3), 2)
    dock.gallery.keep([0, 1], True)
    assert not dock.undo.enabled
    choose(dock, qtbot, 0, 1)
    qtbot.mouseClick(dock.discard.native, Qt.MouseButton.LeftButton)
    settle(dock, qtbot)
    entries = dock.gallery._session.entries
    assert seeds(dock) == [2] and not any(entry.kept for entry in entries.values())
    qtbot.mouseClick(dock.undo.native, Qt.MouseButton.LeftButton)
    settle(dock, qtbot)
    assert seeds(dock) == [0, 1, 2] and [i.entry.kept for i in dock.gallery.items] == [True] * 2 + [
        False
    ]
    assert [entry.kept for entry in entries.values()] == [True, True, False]
    assert results.groups(dock.viewer)[name]["labels"].data[3, 3] == 2
    dock.gallery.discard([0])
    dock.gallery.discard([0])
    settle(dock, qtbot)
    assert len(entries) == 2  # the first is gone for good
    dock.gallery.undiscard()
    settle(dock, qtbot)
    assert seeds(dock) == [1, 2]


def test_a_row_stays_its_own_sample_s_when_its_seed_is_made_anew(
    dock: GalleryDock, points: Points, qtbot: Any, tmp_path: Path
) -> None:
    dock.panel.bar.synthesise.native.click()
    settle(dock, qtbot)
    dock.panel.results.discard.native.click()
    points.add([[5, 5]])
    dock.panel.bar.synthesise.native.click()
    settle(dock, qtbot)
    assert seeds(dock) == [0, 0]
    old, new = dock.gallery.items
    assert (old.group, new.group) == ("layout #0", "layout #0 (2)")
    choose(dock, qtbot, 0)
    made_first = dock.gallery._session.read(old.number).record
    shown = results.groups(dock.viewer)[old.group]
    np.testing.assert_array_equal(shown["labels"].data, made_first.labels)
    results.groups(dock.viewer)[new.group]["labels"].paint((3, 3), 2)
    dock.gallery.keep([0], True)
    dock.gallery.save_kept(tmp_path / "kept")
    settle(dock, qtbot)
    (saved,) = StackDataset(tmp_path / "kept")
    np.testing.assert_array_equal(saved.image, made_first.image)
    assert len(saved.layout) == 4
    dock.gallery.discard([0])
    assert list(results.groups(dock.viewer)) == [new.group]


def test_the_button_for_variations_does_what_it_says(dock: GalleryDock, qtbot: Any) -> None:
    panel, words = dock.panel, "Synthesise variations"
    panel.bar.synthesise.native.click()
    assert dock.vary.text == "Cancel"
    dock.vary.native.click()
    assert panel.runner.cancelled
    settle(dock, qtbot)
    assert dock.vary.text == words and not seeds(dock)
    panel.sampling.live.value = True
    qtbot.waitUntil(lambda: panel.live.busy, timeout=WAIT)
    assert dock.vary.text == words
    dock.count.value = 1
    dock.vary.native.click()  # takes over from Live
    qtbot.waitUntil(lambda: seeds(dock) == [0], timeout=WAIT)


def test_what_is_kept_is_saved_as_one_stack_with_its_notes(
    dock: GalleryDock, points: Points, qtbot: Any, tmp_path: Path
) -> None:
    fill(dock, points, qtbot, 4)
    assert not dock.save.enabled
    choose(dock, qtbot, 0, 2)
    qtbot.keyClick(dock.view, Qt.Key.Key_K)
    assert dock.status.value == "4 results, 2 kept" and dock.keep.text == "Keep no longer"
    choose(dock, qtbot, 2)
    dock.note.native.setText("open lumen")
    dock.note.native.editingFinished.emit()
    choose(dock, qtbot, 0)
    assert dock.note.value == ""
    # Updated by hand: saved as it is now.
    layers = results.groups(dock.viewer)["layout #0"]
    for role in ("labels", "instances"):
        data = layers[role].data.copy()
        data[:] = 0
        layers[role].data = data
    dock.gallery.save_kept(tmp_path / "kept")
    settle(dock, qtbot)
    stack = StackDataset(tmp_path / "kept")
    assert [sample["seed"] for sample in stack.samples] == [0, 2]
    assert [sample.get("note") for sample in stack.samples] == [None, "open lumen"]
    assert stack.samples[0]["edited"] and not stack[0].instances.any()
    item = dock.gallery.items[2]
    np.testing.assert_array_equal(
        stack[1].image, dock.gallery._session.read(item.number).record.image
    )
    assert item.entry.saved
    dock.gallery.save_kept(tmp_path / "kept" / "cosynth.json")  # appends
    settle(dock, qtbot)
    assert len(StackDataset(tmp_path / "kept")) == 4


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_session_is_offered_and_recovered(
    make_napari_viewer: Any, tiny_checkpoint: Path, layout: Layout, qtbot: Any
) -> None:
    samples = [made(layout, seed) for seed in (5, 6)]
    root = session.sessions_folder()
    kill_while_writing(root, samples)
    viewer = make_napari_viewer(show=True)
    panel = CoSynthPanel(viewer)
    viewer.window.add_dock_widget(panel, name="CoSynth")
    qtbot.waitUntil(panel.recovery.isVisible, timeout=WAIT)
    assert panel.recovery.label.value.endswith("results of an unfinished session")
    dock = GalleryDock(viewer)
    viewer.window.add_dock_widget(dock, name="gallery")
    panel.recovery.recover.native.click()
    settle(dock, qtbot)
    assert not panel.recovery.isVisible()
    assert seeds(dock)[:2] == [5, 6] and len({item.group for item in dock.gallery.items}) >= 2
    dock.gallery.show(1)
    settle(dock, qtbot)
    (layers,) = results.groups(viewer).values()
    np.testing.assert_array_equal(layers["image"].data, samples[1].record.image)
    assert layers["image"].metadata["cosynth"]["recipes"][0]["seed"] == 6
    np.testing.assert_allclose(layers["image"].scale, (0.25, 0.25))
    (own,) = [path for path in root.iterdir() if path.is_dir()]
    entry = json.loads((own / "0001" / "entry.json").read_text())
    assert entry["seed"] == 5


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_discarding_an_unfinished_session_removes_it(
    make_napari_viewer: Any, layout: Layout, qtbot: Any
) -> None:
    kill_while_writing(session.sessions_folder(), [made(layout)])
    panel = CoSynthPanel(make_napari_viewer(show=True))
    panel.viewer.window.add_dock_widget(panel, name="CoSynth")
    qtbot.waitUntil(panel.recovery.isVisible, timeout=WAIT)
    panel.recovery.discard.native.click()
    assert panel.recovery.isVisible() and "for good?" in panel.recovery.label.value
    panel.recovery.recover.native.click()  # No
    assert panel.recovery.isVisible() and panel.recovery.recover.text == "Recover"
    assert list(session.sessions_folder().iterdir()) and not panel.gallery.items
    panel.recovery.discard.native.click()
    panel.recovery.discard.native.click()
    qtbot.waitUntil(lambda: not panel.gallery.busy, timeout=WAIT)
    assert not list(session.sessions_folder().iterdir())


def test_the_gallery_shares_the_dock_s_place(
    panel: CoSynthPanel, dock: GalleryDock, qtbot: Any
) -> None:
    window = panel.viewer.window._qt_window

    def tabbed() -> bool:
        (first,) = [d for d in window.findChildren(QDockWidget) if d.isAncestorOf(panel)]
        return any(d.isAncestorOf(dock) for d in window.tabifiedDockWidgets(first))

    qtbot.waitUntil(tabbed, timeout=WAIT)
    for button in (dock.keep, dock.discard, dock.save, dock.vary):
        native = button.native
        words = native.fontMetrics().horizontalAdvance(button.text)
        assert native.width() >= words
        right = native.mapTo(dock, QPoint(native.width(), 0)).x()
        assert right <= dock.width()
