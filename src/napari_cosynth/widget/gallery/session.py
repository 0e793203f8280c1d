"""One program run's samples on the disk, so that a killed program loses none of them.

A session is a folder of its own under the user's data, locked while its program runs::

    sessions/20260102-101112-4242-9f3c/
        lock                  the program that uses it (Qt's lock file: pid, host, program)
        waiting.json          the runs that are not done yet; missing if there are none
        0001/entry.json       layout, seed, place in the world, kept, note, saved
        0001/stack/           a training stack of this one sample

Each sample's folder appears whole or not at all. So all folders can be read, whenever the program dies.
A session whose program is gone is an :class:`Orphan`: its samples and its runs can be taken over.
"""

from __future__ import annotations

import atexit
import itertools
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import QLockFile, QStandardPaths

from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.export.stack import Described, write_stack
from napari_cosynth.foreign.files import read_json
from napari_cosynth.io.atomic import replaced_file, replaced_folder
from napari_cosynth.io.settings import FORBID_UNKNOWN, parse, plain
from napari_cosynth.types import Synthesis
from napari_cosynth.widget.gallery.stored_runs import StoredRun, read_runs, written
from napari_cosynth.widget.layers.placement import Placement

logger = logging.getLogger(__name__)

FOLDER = "napari-cosynth/sessions"
"""Inside the user's data folder."""
MOST_BYTES = 2 * 2**30
"""Limit of all sessions together, bytes; beyond it the oldest samples that nobody kept are removed."""
FRESH_S = 60
"""Seconds for which an empty session is left alone."""
ENTRY, STACK, LOCK, RUNS = "entry.json", "stack", "lock", "waiting.json"


@dataclass(frozen=True)
class Entry:
    """A session's facts about a sample, beside the sample itself."""

    __pydantic_config__ = FORBID_UNKNOWN

    layout: str
    """Name of the layout layer that the sample was made from."""
    seed: int
    prompt: str
    placement: Placement
    """Placement of the sample's own grid."""
    kept: bool = False
    note: str = ""
    steps: int = 0
    """0 in sessions of earlier versions, which did not write it."""
    kind: str = ""
    """How the sample was made, in words; empty if the whole canvas was sampled."""
    saved: bool = False
    """Whether the sample is already in a training stack."""


def sessions_folder() -> Path:
    """This user's folder of sessions."""
    data = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    return Path(data) / FOLDER


class Session:
    """This program's samples; the folder is made with the first one. For one thread at a time."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or sessions_folder()
        self.folder: Path | None = None
        self.entries: dict[int, Entry] = {}
        """Entries by the sample's number, oldest first."""
        self._numbers = itertools.count(1)
        self._lock: QLockFile | None = None

    def add(self, sample: Synthesis, layout: str, placement: Placement) -> int:
        """Writes a sample; returns its number. Raises ValueError if the limit leaves no room."""
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
        """Replaces a sample's entry: another ``kept``, ``note`` or ``saved``."""
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
        """Deletes a sample, unless the limit on the disk has removed it already."""
        if number in self.entries:
            self.remove(number)

    def keep_runs(self, runs: Sequence[StoredRun]) -> None:
        """Replaces the list of the runs that are not done yet."""
        if runs:
            with replaced_file(self._own_folder() / RUNS) as fresh:
                fresh.write_text(written(runs), encoding="utf-8")
        elif self.folder is not None:
            (self.folder / RUNS).unlink(missing_ok=True)

    def take_over(self, orphan: Orphan) -> tuple[list[int], list[str]]:
        """Moves another session's samples here and deletes that session.

        Returns the new numbers, and an error text for each damaged sample, which is not taken over.
        """
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
        """Ends the session with the program.

        What stays are the runs that are not done, and the samples that were kept but not saved.
        """
        if self.folder is None:
            return
        for number, entry in list(self.entries.items()):
            if entry.saved or not entry.kept:
                self.remove(number)
        if self._lock is not None:
            self._lock.unlock()
        if not self.entries and not (self.folder / RUNS).exists():
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
    """A session whose program is gone. The program that found it locks it, so that no other takes it."""

    folder: Path
    samples: tuple[Path, ...]
    """The samples' folders, oldest first."""
    lock: QLockFile
    runs: tuple[StoredRun, ...] = ()
    """The runs that were not done when its program ended."""

    def remove(self) -> None:
        """Deletes the session's folder with all samples in it."""
        self.lock.unlock()
        shutil.rmtree(self.folder, ignore_errors=True)


def orphans(root: Path | None = None) -> list[Orphan]:
    """The sessions that no running program uses, oldest first; deletes those without samples."""
    found = []
    root = root or sessions_folder()
    for folder in sorted(path for path in root.glob("*") if path.is_dir()):
        samples = tuple(sorted(path.parent for path in folder.glob(f"[0-9]*/{ENTRY}")))
        runs = folder / RUNS
        if not samples and not runs.exists() and time.time() - folder.stat().st_mtime < FRESH_S:
            continue  # its program may be about to lock it
        lock = _locked(folder)
        if lock is None:
            continue
        orphan = Orphan(folder, samples, lock, _runs_in(runs))
        if orphan.samples or orphan.runs:
            found.append(orphan)
        else:
            orphan.remove()
    return found


def _runs_in(file: Path) -> tuple[StoredRun, ...]:
    """The runs in a file; none if it is missing or damaged: they can be asked for again."""
    try:
        return tuple(read_runs(file)) if file.exists() else ()
    except (ValueError, OSError) as error:
        logger.warning("the waiting runs of an earlier session are lost: %s", error)
        return ()


def _locked(folder: Path) -> QLockFile | None:
    """The folder's lock, now held by us; None if a running program holds it."""
    lock = QLockFile(str(folder / LOCK))
    lock.setStaleLockTime(0)  # no age makes a lock stale, for a program may run for weeks
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
