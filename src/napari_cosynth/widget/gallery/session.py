"""The samples of one run of the program on the disk, so that a killed program loses none of them.

A session is a folder of its own under the user's data, locked while its program runs::

    sessions/20260102-101112-4242-9f3c/
        lock                  who works with it (Qt's lock file: pid, host, program)
        0001/entry.json       layout, seed, place in the world, kept, note, saved
        0001/stack/           a training stack of this one sample

Each sample's folder appears whole or not at all, so whatever moment the program dies in, what is there
can be read. A session whose program is gone is an :class:`Orphan`: its samples can be taken over.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import QLockFile, QStandardPaths

from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.export.stack import Described, write_stack
from napari_cosynth.foreign.files import read_json
from napari_cosynth.io.atomic import replaced_file, replaced_folder
from napari_cosynth.io.settings import FORBID_UNKNOWN, parse, plain
from napari_cosynth.types import Synthesis
from napari_cosynth.widget.layers.placement import Placement

FOLDER = "napari-cosynth/sessions"
"""Inside the user's data folder."""
MOST_BYTES = 2 * 2**30
"""Of all sessions together; beyond it the oldest samples that nobody kept make room."""
FRESH_S = 60
"""Seconds for which an empty session is left alone."""
ENTRY, STACK, LOCK = "entry.json", "stack", "lock"


@dataclass(frozen=True)
class Entry:
    """What a session knows of a sample beside the sample itself."""

    __pydantic_config__ = FORBID_UNKNOWN

    layout: str
    """The name of the layer that it was made from."""
    seed: int
    prompt: str
    placement: Placement
    """Of the sample's own grid."""
    kept: bool = False
    note: str = ""
    steps: int = 0
    """0 in sessions of before it was written down."""
    kind: str = ""
    """How it came about where that is not by sampling the whole canvas, in words."""
    saved: bool = False
    """Whether it is in a training stack already."""


def sessions_folder() -> Path:
    """Where sessions are kept for this user."""
    data = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    return Path(data) / FOLDER


class Session:
    """This program's samples; its folder appears with the first one. Used by one thread at a time."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or sessions_folder()
        self.folder: Path | None = None
        self.entries: dict[int, Entry] = {}
        """By number, oldest first."""
        self._numbers = itertools.count(1)
        self._lock: QLockFile | None = None

    def add(self, sample: Synthesis, layout: str, placement: Placement) -> int:
        """Writes a sample; its number. Raises ValueError where the sessions' limit leaves no room."""
        self._make_room(_estimate(sample))
        number = next(self._numbers)
        entry = Entry(
            layout,
            sample.seed,
            sample.request.prompt,
            placement,
            steps=sample.request.steps,
            kind="into image" if "inpainted" in sample.provenance else "",
        )
        with replaced_folder(self._own_folder() / f"{number:04}") as fresh:
            write_stack([sample], fresh / STACK)
            _write_entry(fresh, entry)
        self.entries[number] = entry
        return number

    def change(self, number: int, entry: Entry) -> None:
        """Another ``kept``, ``note`` or ``saved``."""
        _write_entry(self._path(number), entry)
        self.entries[number] = entry

    def read(self, number: int) -> Described:
        """The sample as it was made, with its recipe and its note. Raises ValueError if damaged."""
        stack = StackDataset(self._path(number) / STACK)
        note = self.entries[number].note
        return Described(stack[0], stack.samples[0] | ({"note": note} if note else {}))

    def remove(self, number: int) -> None:
        """Deletes a sample."""
        del self.entries[number]
        shutil.rmtree(self._path(number))

    def discard(self, number: int) -> None:
        """:meth:`remove`, of a sample that the limit on the disk may have taken already."""
        if number in self.entries:
            self.remove(number)

    def take_over(self, orphan: Orphan) -> tuple[list[int], list[str]]:
        """Moves another session's samples here; their numbers, and why the damaged ones stay out."""
        taken, damaged = [], []
        for path in orphan.samples:
            try:
                entry = _read_entry(path)
                StackDataset(path / STACK)[0]
            except (ValueError, OSError) as error:
                damaged.append(str(error))
                continue
            number = next(self._numbers)
            path.rename(self._own_folder() / f"{number:04}")
            self.entries[number] = entry
            taken.append(number)
        orphan.remove()
        return taken, damaged

    def close(self) -> None:
        """The program ends as it should: what was not kept goes, what was kept and not saved stays."""
        if self.folder is None:
            return
        for number, entry in list(self.entries.items()):
            if entry.saved or not entry.kept:
                self.remove(number)
        if self._lock is not None:
            self._lock.unlock()
        if not self.entries:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder = None

    def _path(self, number: int) -> Path:
        assert self.folder is not None  # there is an entry
        return self.folder / f"{number:04}"

    def _own_folder(self) -> Path:
        if self.folder is None:
            name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{secrets.token_hex(2)}"
            folder = self.root / name
            folder.mkdir(parents=True)
            self._lock = _locked(folder)
            if self._lock is None:
                raise OSError(f"{folder}: cannot be locked")
            self.folder = folder
            atexit.register(self.close)
        return self.folder

    def _make_room(self, wanted: int) -> None:
        used = _size(self.root)
        for number, entry in list(self.entries.items()):
            if used + wanted <= MOST_BYTES:
                return
            if not entry.kept:
                used -= _size(self._path(number))
                self.remove(number)
        if used + wanted > MOST_BYTES:
            raise ValueError(
                f"{self.root}: the gallery's {MOST_BYTES / 2**30:.0f} GiB are full, this result is in "
                "the viewer only: save or discard kept results, or discard unfinished sessions"
            )


@dataclass(frozen=True)
class Orphan:
    """A session whose program is gone. Locked by whoever found it, so that nobody else takes it."""

    folder: Path
    samples: tuple[Path, ...]
    """The samples' folders, oldest first."""
    lock: QLockFile

    def remove(self) -> None:
        """Deletes it with all that is in it."""
        self.lock.unlock()
        shutil.rmtree(self.folder, ignore_errors=True)


def orphans(root: Path | None = None) -> list[Orphan]:
    """The sessions that no running program works with, oldest first; those with no sample are removed."""
    found = []
    root = root or sessions_folder()
    for folder in sorted(path for path in root.glob("*") if path.is_dir()):
        samples = tuple(sorted(path.parent for path in folder.glob(f"[0-9]*/{ENTRY}")))
        if not samples and time.time() - folder.stat().st_mtime < FRESH_S:
            continue  # its program may be about to lock it
        lock = _locked(folder)
        if lock is None:
            continue
        orphan = Orphan(folder, samples, lock)
        if samples:
            found.append(orphan)
        else:
            orphan.remove()
    return found


def _locked(folder: Path) -> QLockFile | None:
    """The folder's lock, ours now; None where a running program holds it."""
    lock = QLockFile(str(folder / LOCK))
    lock.setStaleLockTime(0)  # a program may run for weeks: only one that is gone has lost its lock
    return lock if lock.tryLock(0) else None


def _write_entry(folder: Path, entry: Entry) -> None:
    with replaced_file(folder / ENTRY) as fresh:
        fresh.write_text(json.dumps(plain(entry), indent=1, allow_nan=False), encoding="utf-8")


def _read_entry(folder: Path) -> Entry:
    path = folder / ENTRY
    return parse(Entry, read_json(path), str(path))


def _estimate(sample: Synthesis) -> int:
    record = sample.record
    return sum(
        array.nbytes for array in (record.image, record.labels, record.instances, record.distance)
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
