"""Whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from napari_cosynth.io import atomic
from napari_cosynth.io.atomic import leftovers, replaced_file, replaced_folder
from napari_cosynth.io.paths import SHEETS, check_writable


def test_a_folder_appears_at_the_end(tmp_path):
    target = tmp_path / "a" / "out"
    with replaced_folder(target) as fresh:
        (fresh / "x").write_text("1")
        assert not target.exists()
    assert (target / "x").read_text() == "1"
    assert [p.name for p in target.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("existing", [False, True])
def test_an_error_leaves_everything_as_it_was(tmp_path, existing):
    target = tmp_path / "out"
    if existing:
        target.mkdir()
        (target / "old.csv").write_text(SHEETS[0])
    with pytest.raises(RuntimeError), replaced_folder(target, overwrite=True) as fresh:
        (fresh / "x").write_text("1")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == (["out"] if existing else [])
    if existing:
        assert (target / "old.csv").read_text() == SHEETS[0]


@pytest.mark.parametrize("write", [replaced_file, replaced_folder])
def test_an_error_names_what_was_to_be_written(tmp_path, monkeypatch, write):
    (tmp_path / "file").write_text("precious")
    with (
        pytest.raises(NotADirectoryError, match=r"x\.csv: .*file is a file"),
        write(tmp_path / "file" / "x.csv"),
    ):
        pass

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / ".x.csv.abc"))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(PermissionError) as refused, write(tmp_path / "x.csv"):
        pass
    assert refused.value.filename == str(tmp_path / "x.csv")


def test_folders_are_replaced_only_when_told(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError), replaced_folder(tmp_path / "out"):
        pass
    (tmp_path / "file").write_text("precious")
    with pytest.raises(NotADirectoryError), replaced_folder(tmp_path / "file", overwrite=True):
        pass
    assert (tmp_path / "file").read_text() == "precious"


def test_a_file_is_replaced_whole(tmp_path):
    target = tmp_path / "f.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), replaced_file(target) as fresh:
        fresh.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    with replaced_file(target) as fresh:
        fresh.write_text("new")
    assert target.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["f.txt"]


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "far")
    (tmp_path / "l.csv").symlink_to(tmp_path / "far.csv")
    with replaced_folder(tmp_path / "out", overwrite=True) as fresh:
        (fresh / "x").write_text("1")
    with replaced_file(tmp_path / "l.csv") as fresh:
        fresh.write_text("2")
    assert (tmp_path / "out").is_symlink() and (tmp_path / "far" / "x").read_text() == "1"
    assert (tmp_path / "l.csv").is_symlink() and (tmp_path / "far.csv").read_text() == "2"


def test_leftovers_are_what_a_killed_writer_left_and_nothing_else(tmp_path):
    kept = [".git", ".gitignore", ".lock", ".DS_Store", ".out", "a.csv"]
    for name in kept:
        (tmp_path / name).write_text("mine")
    with replaced_file(tmp_path / "a.csv") as file, replaced_folder(tmp_path / "out") as folder:
        assert set(leftovers(tmp_path, "*.csv", "out")) == {file, folder}


def ring(folder: Path) -> Path:
    path = folder / "ring"
    path.symlink_to("ring")
    return path


@pytest.mark.parametrize("use", [replaced_file, replaced_folder, check_writable])
def test_links_in_a_ring_are_one_line(tmp_path, use):
    with pytest.raises(ValueError, match="ring: its links lead in a ring"), use(ring(tmp_path)):
        pass


@pytest.fixture
def orders(monkeypatch) -> list[tuple[str, Path]]:
    """What is sent to the disk, and what takes its name, in their order."""
    seen: list[tuple[str, Path]] = []
    to_disk, exchanged = os.fsync, atomic._exchanged

    def sync(handle: int) -> None:
        seen.append(("on the disk", Path(f"/proc/self/fd/{handle}").readlink()))
        to_disk(handle)

    def exchange(one: Path, other: Path) -> bool:
        seen.append(("named", other))
        return exchanged(one, other)

    for name in ("rename", "replace"):
        move = getattr(Path, name)
        monkeypatch.setattr(
            Path, name, lambda a, b, move=move: (seen.append(("named", Path(b))), move(a, b))[1]
        )
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(atomic, "_exchanged", exchange)
    return seen


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="handles are named by Linux")
@pytest.mark.parametrize("existing", [False, True])
def test_power_may_fail_at_any_moment(tmp_path, orders, existing):
    """Content reaches the disk, then its folder's list of names, the name, the list it is in."""
    target = tmp_path / "out"
    if existing:
        target.mkdir()
    with replaced_folder(target, overwrite=True) as fresh:
        (fresh / "in").mkdir()
        (fresh / "in" / "x").write_text("1")
    named = orders.index(("named", target))
    written = {path for what, path in orders[:named] if what == "on the disk"}
    assert written == {fresh / "in" / "x", fresh / "in", fresh}
    assert orders[named + 1 :] == [("on the disk", tmp_path)]
    orders.clear()
    with replaced_file(target / "y") as fresh:
        fresh.write_text("1")
    assert orders == [("on the disk", fresh), ("named", target / "y"), ("on the disk", target)]


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="two renames elsewhere")
def test_a_folder_that_is_replaced_is_there_at_every_moment(tmp_path, monkeypatch):
    target, seen = tmp_path / "out", []
    target.mkdir()
    monkeypatch.setattr(Path, "rename", lambda *names: pytest.fail(f"renamed {names}"))
    monkeypatch.setattr(shutil, "rmtree", lambda path, **_: seen.append(target.exists()))
    with replaced_folder(target, overwrite=True) as fresh:
        (fresh / "x").write_text("1")
    assert (target / "x").read_text() == "1"
    assert seen == [True]


def test_where_names_cannot_be_exchanged_one_goes_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_exchanged", lambda *_: False)
    for text in ("1", "2"):
        with replaced_folder(tmp_path / "out", overwrite=True) as fresh:
            (fresh / "x.csv").write_text(f"{SHEETS[0]}\n{text}")
    assert (tmp_path / "out" / "x.csv").read_text() == f"{SHEETS[0]}\n2"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
