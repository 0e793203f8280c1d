"""Samples on the disk: whole or not at all, kept from other programs, and there after a kill."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from killed_sessions import PLACEMENT, kill_while_writing, made
from napari_cosynth.types import Layout
from napari_cosynth.widget.gallery import session as sessions
from napari_cosynth.widget.gallery.session import Session, orphans


def test_a_sample_is_read_back_as_it_was_written(tmp_path: Path, layout: Layout) -> None:
    session = Session(tmp_path)
    assert not list(tmp_path.iterdir())
    sample = made(layout, 3)
    number = session.add(sample, "gland", PLACEMENT)
    entry = session.entries[number]
    assert (entry.layout, entry.seed, entry.prompt) == ("gland", 3, "a prompt")
    session.change(number, sessions.Entry(**{**vars(entry), "note": "pale", "kept": True}))
    found = session.read(number)
    np.testing.assert_array_equal(found.record.image, sample.record.image)
    np.testing.assert_array_equal(found.record.instances, sample.record.instances)
    np.testing.assert_array_equal(found.record.layout.centroids, layout.centroids)
    assert found.description == sample.recipe | {"note": "pale"}
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pkl", ".pickle")]


def test_a_running_session_is_nobody_elses(tmp_path: Path, layout: Layout) -> None:
    session = Session(tmp_path)
    session.add(made(layout), "gland", PLACEMENT)
    assert orphans(tmp_path) == []
    code = (
        "from pathlib import Path; from napari_cosynth.widget.gallery.session import orphans\n"
        f"assert orphans(Path({str(tmp_path)!r})) == []"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_session_is_taken_over(tmp_path: Path, layout: Layout) -> None:
    samples = [made(layout, seed) for seed in (5, 6)]
    kill_while_writing(tmp_path, samples)
    (orphan,) = orphans(tmp_path)
    assert len(orphan.samples) >= 2
    assert orphans(tmp_path) == []  # whoever found it has it
    (orphan.samples[1] / "stack" / "images.tif").write_bytes(b"II*\0 damaged")
    session = Session(tmp_path)
    taken, damaged = session.take_over(orphan)
    assert len(taken) == len(orphan.samples) - 1
    assert len(damaged) == 1 and "images.tif" in damaged[0]
    assert not orphan.folder.exists()
    entry = session.entries[taken[0]]
    assert entry.placement == PLACEMENT and entry.seed == 5
    np.testing.assert_array_equal(session.read(taken[0]).record.image, samples[0].record.image)


def test_an_ordinary_end_leaves_what_was_kept_and_not_saved(tmp_path: Path, layout: Layout) -> None:
    session = Session(tmp_path)
    numbers = [session.add(made(layout, seed), "gland", PLACEMENT) for seed in range(3)]
    for number, changes in zip(numbers[:2], ({}, {"saved": True}), strict=True):
        entry = {**vars(session.entries[number]), "kept": True, **changes}
        session.change(number, sessions.Entry(**entry))
    session.close()
    (orphan,) = orphans(tmp_path)
    assert [path.name for path in orphan.samples] == [f"{numbers[0]:04}"]
    orphan.remove()
    session = Session(tmp_path)
    session.add(made(layout), "gland", PLACEMENT)
    session.close()
    assert not list(tmp_path.iterdir())


def test_the_disk_is_used_up_to_a_limit(
    tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(tmp_path)
    first = session.add(made(layout, 0), "gland", PLACEMENT)
    one = sessions._size(tmp_path)
    estimate = sessions._estimate(made(layout))
    monkeypatch.setattr(sessions, "MOST_BYTES", 2 * one + estimate)
    session.change(first, sessions.Entry(**{**vars(session.entries[first]), "kept": True}))
    for seed in range(1, 6):
        session.add(made(layout, seed), "gland", PLACEMENT)
        assert sessions._size(tmp_path) <= sessions.MOST_BYTES
    left = [entry.seed for entry in session.entries.values()]
    assert left[0] == 0 and left[-1] == 5 and len(left) < 6
    for number, entry in session.entries.items():
        session.change(number, sessions.Entry(**{**vars(entry), "kept": True}))
    with pytest.raises(ValueError, match="full"):
        while True:
            session.add(made(layout, 9), "gland", PLACEMENT)
            number = max(session.entries)
            entry = session.entries[number]
            session.change(number, sessions.Entry(**{**vars(entry), "kept": True}))
