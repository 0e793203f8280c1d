"""Rows on the disk against an array in memory; what of a scratch folder is taken over or refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_cosynth.diffusion.scratch import RUN, Scratch, remove_run


def test_rows_are_an_array_s() -> None:
    scratch, rng = Scratch(None, ""), np.random.default_rng(0)
    rows, array = scratch.rows("a", (9, 3, 4), np.float32), np.zeros((9, 3, 4), np.float32)
    np.testing.assert_array_equal(rows.read(0, 9), array)
    for y, height in ((2, 3), (0, 1), (8, 1), (4, 0), (3, 5)):
        array[y : y + height] = fresh = rng.random((height, 3, 4), np.float32)
        rows.write(y, fresh)
    rows.write(0, array[::2][:2])  # not contiguous
    array[:2] = array[::2][:2]
    rows.settle()
    for y0, y1 in ((0, 9), (1, 2), (5, 5), (7, 9)):
        np.testing.assert_array_equal(rows.read(y0, y1), array[y0:y1])
    with pytest.raises(OSError, match="a: ends before row 10"):
        rows.read(8, 10)
    for wrong in (array[:2, :2], array[:2].astype(np.float64), array[:2].astype(np.int32)):
        with pytest.raises(ValueError, match=r"a: expected float32 \(2, 3, 4\)"):
            rows.write(0, wrong)
    np.testing.assert_array_equal(rows.read(0, 9), array)
    scratch.close()


def test_a_later_run_finds_the_rows_and_the_steps(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    first = Scratch(folder, "this")
    assert first.finished is None
    first.rows("a", (3, 2), np.uint8).write(1, np.array([[7, 9]], np.uint8))
    first.close()
    # Nothing was marked, so that nothing is taken over.
    second = Scratch(folder, "this")
    assert second.finished is None
    rows = second.rows("a", (3, 2), np.uint8)
    assert not rows.read(0, 3).any()
    rows.write(2, np.array([[5, 6]], np.uint8))
    second.mark(0)
    second.close()
    third = Scratch(folder, "this")
    assert third.finished == 0
    assert third.rows("a", (3, 2), np.uint8).read(0, 3).tolist() == [[0, 0], [0, 0], [5, 6]]
    for name, shape in (("a", (3, 3)), ("a", (2, 2)), ("b", (3, 2))):
        with pytest.raises(ValueError, match=f"{name}: expected {shape[0] * shape[1]} bytes"):
            third.rows(name, shape, np.uint8)
    third.close()


DAMAGED = ["", "{", "[]", "3", '{"identity": "this"}', '{"finished": 2}']


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_record_is_refused_and_removes_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / RUN).write_text(text)
    with pytest.raises(ValueError, match=f"{RUN}: cannot be read"):
        Scratch(tmp_path, "this")
    remove_run(tmp_path)
    assert (tmp_path / RUN).read_text() == text


@pytest.mark.parametrize("finished", [-1, "2", 1.0])
def test_a_record_of_no_number_of_steps_is_refused(tmp_path: Path, finished: object) -> None:
    (tmp_path / RUN).write_text(json.dumps({"identity": "this", "finished": finished}))
    with pytest.raises(ValueError, match="identity"):
        Scratch(tmp_path, "this")


def test_what_is_no_scratch_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo").touch()
    for name in ("file", "mine"):
        with pytest.raises(ValueError, match="expected a new folder or that of an earlier run"):
            Scratch(tmp_path / name, "this")
    (tmp_path / "empty").mkdir()
    assert Scratch(tmp_path / "empty", "this").finished is None


def test_of_a_run_that_is_over_only_its_own_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    scratch = Scratch(folder, "this")
    scratch.rows("a", (3, 2), np.uint8)
    scratch.mark(1)
    scratch.close()
    (folder / f".{RUN}.killed").touch()
    (folder / "photo").touch()
    outside = tmp_path / "outside"
    outside.touch()
    record = json.loads((folder / RUN).read_text())
    record["files"] += ["gone", "../outside"]
    (folder / RUN).write_text(json.dumps(record))
    remove_run(folder)
    assert [path.name for path in folder.iterdir()] == ["photo"] and outside.exists()
    remove_run(folder)  # there is none
    (folder / "photo").rename(folder / RUN)
    (folder / RUN).write_text('{"files": []}')
    remove_run(folder)
    assert not folder.exists()


def test_killed_at_its_very_first_file_it_begins_anew(tmp_path: Path) -> None:
    (tmp_path / f".{RUN}.k1ll3d").write_text("{")
    scratch = Scratch(tmp_path, "this")
    assert scratch.finished is None and (tmp_path / RUN).is_file()
    scratch.close()
    remove_run(tmp_path)
    assert not tmp_path.exists()
