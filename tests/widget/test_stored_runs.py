"""Runs that are not done when the program ends: kept on the disk, and started by the next program."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Points
from qtpy.QtCore import Qt

from killed_sessions import kill_while_keeping
from napari_cosynth.types import Layout, Previews, Progress, Request
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.gallery import session as sessions
from napari_cosynth.widget.gallery import stored_runs
from napari_cosynth.widget.gallery.session import Session, orphans
from napari_cosynth.widget.gallery.stored_runs import StoredRun, read_runs
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.layout import SAMPLE_KEY, is_layout
from napari_cosynth.widget.layers.placement import free_placement
from napari_cosynth.widget.run.backend import InThread

WAIT = 60_000


def stored(layout: Layout, *seeds: int, checkpoint: str = "default") -> StoredRun:
    request = Request(
        layout, "a prompt", checkpoint, steps=2, seeds=seeds, tissue="colon", look=(0.5, 1.0)
    )
    place = free_placement(layout.shape, layout.mpp, [])
    return StoredRun("gland", place, place, request, Previews(1, 2.5), len(seeds) > 1)


def kept(root: Path) -> list[tuple[str, tuple[int, ...]]]:
    """Name and seeds of each run in the only session's file."""
    found = [run for file in root.glob(f"*/{sessions.RUNS}") for run in read_runs(file)]
    return [(run.name, run.request.seeds) for run in found]


def test_no_field_of_a_request_is_left_out(layout: Layout) -> None:
    asked = json.loads(stored_runs.written([stored(layout, 3)]))["runs"][0]["request"]
    assert {"layout", *asked} == {field.name for field in fields(Request)}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_of_a_killed_program_every_run_is_found(tmp_path: Path, layout: Layout) -> None:
    runs = [stored(layout, 3), stored(layout, 4, 5)]
    kill_while_keeping(tmp_path, runs)
    (orphan,) = orphans(tmp_path)
    assert not orphan.samples
    for run, found in zip(runs, orphan.runs, strict=True):
        assert replace(found.request, layout=layout) == replace(run.request, layout=layout)
        assert (found.name, found.canvas, found.placement) == (run.name, run.canvas, run.placement)
        assert (found.previews, found.fleeting) == (run.previews, run.fleeting)
        np.testing.assert_array_equal(found.request.layout.centroids, layout.centroids)
        np.testing.assert_array_equal(found.request.layout.class_ids, layout.class_ids)
    assert orphan.runs[0].request.layout is orphan.runs[1].request.layout
    assert orphans(tmp_path) == []  # whoever found it has it
    orphan.remove()
    assert not list(tmp_path.iterdir())


def test_an_ordinary_end_leaves_the_runs_too(tmp_path: Path, layout: Layout) -> None:
    session = Session(tmp_path)
    session.keep_runs([stored(layout, 3)])
    session.close()
    assert kept(tmp_path) == [("gland", (3,))]
    (orphan,) = orphans(tmp_path)
    orphan.remove()
    session = Session(tmp_path)
    session.keep_runs([stored(layout, 3)])
    session.keep_runs([])
    session.close()
    assert not list(tmp_path.iterdir())


def test_a_list_is_bounded(tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_runs, "MOST", 2)
    session = Session(tmp_path)
    session.keep_runs([stored(layout, seed) for seed in range(5)])
    assert kept(tmp_path) == [("gland", (0,)), ("gland", (1,))]
    session.keep_runs([])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t["runs"][0].update(layout=7),
        lambda t: t["runs"][0].update(layout=-1),
        lambda t: t["runs"][0]["request"].update(seeds=[]),
        lambda t: t["runs"][0]["request"].update(other=1),
        lambda t: t["runs"][0]["request"].pop("prompt"),
        lambda t: t["layouts"][0].update(centroids="!"),
        lambda t: t["layouts"][0].update(centroids="AAAA"),
        lambda t: t["layouts"][0].update(names=["a"]),
        lambda t: t.pop("layouts"),
    ],
)
def test_a_damaged_list_is_told_of_in_a_line_and_left(
    tmp_path: Path, layout: Layout, spoil: Callable[[Any], object]
) -> None:
    file = tmp_path / "one" / sessions.RUNS
    file.parent.mkdir()
    table = json.loads(stored_runs.written([stored(layout, 3)]))
    spoil(table)
    file.write_text(json.dumps(table))
    with pytest.raises(ValueError, match=r"waiting\.json") as error:
        read_runs(file)
    assert "\n" not in str(error.value)
    assert orphans(tmp_path) == []


def test_what_is_under_way_and_what_waits_is_on_the_disk_until_it_is_done(
    panel: CoSynthPanel, points: Points, qtbot: Any, tmp_path: Path
) -> None:
    root = tmp_path / "sessions"
    seen: list[Progress] = []
    panel.runner.progressed.connect(seen.append)
    panel.sampling.steps.value = 1000
    qtbot.mouseClick(panel.bar.synthesise.native, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(seen), timeout=WAIT)
    panel.sampling.steps.value, panel.sampling.seed.value = 2, 11
    qtbot.mouseClick(panel.bar.synthesise.native, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not panel.gallery.busy, timeout=WAIT)
    assert kept(root) == [("layout", (0,)), ("layout", (11,))]
    panel.bar.queue.drop_all.native.click()
    qtbot.waitUntil(lambda: not panel.gallery.busy, timeout=WAIT)
    assert kept(root) == [("layout", (0,))]
    qtbot.mouseClick(panel.bar.cancel.native, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not (panel.runner.busy or panel.gallery.busy), timeout=WAIT)
    assert kept(root) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_the_next_dock_offers_the_runs_and_samples_them(
    make_napari_viewer: Callable[..., Any],
    tiny_checkpoint: Path,
    layout: Layout,
    qtbot: Any,
    tmp_path: Path,
) -> None:
    runs = [stored(layout, seed, checkpoint=str(tiny_checkpoint)) for seed in (21, 22)]
    runs = [replace(run, request=replace(run.request, look="none", tissue="")) for run in runs]
    kill_while_keeping(tmp_path / "sessions", runs)
    viewer = make_napari_viewer(show=True)
    panel = CoSynthPanel(viewer)
    viewer.window.add_dock_widget(panel, name="CoSynth")
    panel.runner.backend = InThread()
    qtbot.waitUntil(panel.recovery.isVisible, timeout=WAIT)
    assert panel.recovery.label.value == "2 runs of an unfinished session"
    made: list[int] = []
    panel.sampled.connect(lambda sample: made.append(sample.seed))
    qtbot.mouseClick(panel.recovery.recover.native, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: made == [21, 22], timeout=WAIT)
    qtbot.waitUntil(lambda: not (panel.runner.busy or panel.gallery.busy), timeout=WAIT)
    (layer,) = [layer for layer in viewer.layers if is_layout(layer)]
    np.testing.assert_allclose(layer.data, layout.centroids)
    groups = results.groups(viewer)
    assert [g["labels"].metadata[SAMPLE_KEY].request.prompt for g in groups.values()] == (
        ["a prompt"] * 2
    )
    assert kept(tmp_path / "sessions") == []


def test_of_several_seeds_those_that_were_made_are_not_made_again(
    panel: CoSynthPanel, points: Points, qtbot: Any, tmp_path: Path
) -> None:
    on_disk: list[Any] = []
    panel.sampled.connect(lambda _: on_disk.append(panel.runs.undone()))
    panel.vary((5, 6, 7))
    qtbot.waitUntil(lambda: not (panel.runner.busy or panel.gallery.busy), timeout=WAIT)
    assert [[done for _, done in undone] for undone in on_disk] == [[1], [2], [2]]
    panel.sampling.steps.value = 200  # so that the second is still under way when the file is read
    panel.vary((5, 6, 7))
    root = tmp_path / "sessions"
    qtbot.waitUntil(lambda: kept(root) == [("layout", (6, 7))], timeout=WAIT)
    qtbot.mouseClick(panel.bar.cancel.native, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not (panel.runner.busy or panel.gallery.busy), timeout=WAIT)
    assert kept(root) == []
