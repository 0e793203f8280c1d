"""The folder of a data set during its run: shards, and finished samples whose shard is not yet whole.

``pending/ID.safetensors`` holds a finished sample until its shard is whole. Samples leave ``pending``
only after their shard is written and listed. So at every moment each finished sample is in one of the
two, and a kill neither loses nor repeats one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_cosynth.export.stack import Described, write_stack
from napari_cosynth.generate.manifest import LISTED, MANIFEST, Listing, Manifest, shard_name
from napari_cosynth.generate.plan import Plan
from napari_cosynth.generate.sample import unpack
from napari_cosynth.io.atomic import leftovers, replaced_file
from napari_cosynth.types import ClassTable

LAYOUTS = "layouts.npz"
PENDING = "pending"
_LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Locks the folder against a second run; the system unlocks it however this process ends.

    Raises ValueError naming the folder where another run has it.
    """
    with (folder / _LOCK).open("w") as handle:
        try:
            import fcntl
        except ImportError:  # Windows has no such lock: a second run goes unnoticed there
            yield
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{folder}: another run is writing it") from None
        except OSError:  # a file system without locks
            pass
        yield


class DatasetFolder:
    """Pending samples and shards of one run."""

    def __init__(self, path: Path, plan: Plan, classes: ClassTable, manifest: Manifest) -> None:
        self.path, self.plan, self.classes = path, plan, classes
        self.listing = Listing(path, manifest)
        self.pending = path / PENDING
        self.pending.mkdir(exist_ok=True)
        self._clear()
        self.finished = {int(p.stem) for p in self.pending.glob("[0-9]*.safetensors")}
        """Numbers of the pending samples."""

    def _clear(self) -> None:
        """Removes half-written files of a killed run, and pending samples that are in a shard."""
        for place in (self.path, self.pending):
            for left in leftovers(place, "shard-*", MANIFEST, LISTED, "[0-9]*"):
                if left.is_dir():
                    shutil.rmtree(left)
                else:
                    left.unlink()
        done = len(self.listing)
        for path in self.pending.glob("[0-9]*.safetensors"):
            if int(path.stem) < done:
                path.unlink()

    def missing(self) -> list[int]:
        """Numbers of the samples that are neither in a shard nor pending, in order."""
        listed = len(self.listing)
        return [i for i in range(listed, self.plan.samples) if i not in self.finished]

    def put(self, index: int, data: bytes) -> None:
        """Stores a finished sample, packed, among the pending ones."""
        with replaced_file(self._file(index)) as fresh:
            fresh.write_bytes(data)
        self.finished.add(index)

    def _file(self, index: int) -> Path:
        return self.pending / f"{index:08d}.safetensors"

    def write_shards(self) -> None:
        """Writes every shard whose samples are all there, in order."""
        while (listed := len(self.listing)) < self.plan.samples:
            shard = listed // self.plan.shard_size
            members = self.plan.members(shard)
            if not self.finished.issuperset(members):
                return
            outcomes = [
                unpack(self._file(i).read_bytes(), self.classes, str(self._file(i)))
                for i in members
            ]
            kept = [Described(o.record, o.recipe) for o in outcomes if o.record is not None]
            if kept:
                write_stack(kept, self.path / shard_name(shard), overwrite=True)
            self.listing.add(self.listing.manifest.entries(shard, outcomes))
            for index in members:
                self._file(index).unlink()
                self.finished.discard(index)

    def close(self) -> None:
        """Removes the files that only an unfinished run needs, once all samples are in shards."""
        if len(self.listing) == self.plan.samples:
            self.listing.close()
            self.pending.rmdir()
            (self.path / _LOCK).unlink()
