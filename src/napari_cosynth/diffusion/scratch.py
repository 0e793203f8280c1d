"""Arrays on the disk for the sampling of a large canvas; a later run can resume from them."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from napari_cosynth.io.atomic import leftovers, replaced_file

RUN = "cosynth-run.json"
"""File that marks a scratch folder. It holds the ``identity`` of its run, the names of its ``files`` and
the number of ``finished`` steps, null before the initial state is written."""


class Rows:
    """An array (H, ...) in a file, read and written by whole rows.

    It is not mapped into memory: mapped pages count as the process' own until the system takes them
    back, and would count against a memory limit.
    """

    def __init__(
        self, file: BinaryIO, shape: tuple[int, ...], dtype: npt.DTypeLike, name: str
    ) -> None:
        self._file, self._name = file, name
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._stride = int(np.prod(shape[1:])) * self.dtype.itemsize

    def read(self, y0: int, y1: int) -> npt.NDArray[Any]:
        """Rows ``y0 <= y < y1``. Raises OSError where the file ends before the last of them."""
        rows = np.empty((y1 - y0, *self.shape[1:]), self.dtype)
        self._file.seek(y0 * self._stride)
        if self._file.readinto(_bytes(rows)) != rows.nbytes:  # type: ignore[attr-defined]
            raise OSError(f"{self._name}: ends before row {y1}")
        return rows

    def write(self, y0: int, rows: npt.NDArray[Any]) -> None:
        """Writes rows from ``y0`` on. Raises ValueError for another shape or dtype."""
        wanted = (len(rows), *self.shape[1:])
        if rows.shape != wanted or rows.dtype != self.dtype:
            raise ValueError(f"{self._name}: expected {self.dtype} {wanted}, got {rows.shape}")
        self._file.seek(y0 * self._stride)
        self._file.write(_bytes(np.ascontiguousarray(rows)))

    def settle(self) -> None:
        """Returns when everything written is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())


class Scratch:
    """The arrays of a run.

    Without a folder they lie in temporary files, which vanish with the process however it ends. In a
    folder they stay until :func:`remove_run`, and a run of the same ``identity`` resumes from the last
    finished step. Raises ValueError naming the folder where it holds another run or other files.
    """

    def __init__(self, folder: Path | None, identity: str) -> None:
        self.folder = folder
        self.identity = identity
        self.finished: int | None = None
        """Finished steps of this or an earlier run; None before the initial state is written."""
        self._files: list[BinaryIO] = []
        self._names: list[str] = []
        if folder is None:
            return
        if folder.exists():
            self.finished = self._finished_in(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if self.finished is None:
            self._record(None)  # a run that is killed before its first step can begin again here

    def _finished_in(self, folder: Path) -> int | None:
        record = folder / RUN
        if not folder.is_dir() or (not record.is_file() and _others(folder)):
            raise ValueError(f"{folder}: expected a new folder or that of an earlier run")
        if not record.is_file():
            return None
        try:
            content = json.loads(record.read_text(encoding="utf-8"))
            identity, finished = content["identity"], content["finished"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{record}: cannot be read ({error})") from None
        valid = finished is None or (isinstance(finished, int) and finished >= 0)
        if identity != self.identity or not valid:
            raise ValueError(
                f"{record}: identity: expected this very request's, got another run's: name another "
                "folder, or remove it"
            )
        return cast("int | None", finished)

    def rows(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Rows:
        """The array of this name; a new one is zero.

        Raises ValueError where a resumed run's file is missing or has another size.
        """
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if self.folder is None:
            file = cast(BinaryIO, tempfile.TemporaryFile(prefix="cosynth-"))  # noqa: SIM115
        else:
            path = self.folder / name
            self._names.append(name)
            if self.finished is not None and (not path.is_file() or path.stat().st_size != size):
                raise ValueError(f"{path}: expected {size} bytes of the earlier run")
            path.touch()
            file = path.open("rb+")
            name = str(path)
        self._files.append(file)
        if self.finished is None:
            file.truncate(0)
        file.truncate(size)
        return Rows(file, shape, dtype, name)

    def mark(self, finished: int) -> None:
        """Records that this many steps are finished and on the disk."""
        self.finished = finished
        if self.folder is not None:
            self._record(finished)

    def _record(self, finished: int | None) -> None:
        assert self.folder is not None
        with replaced_file(self.folder / RUN) as fresh:
            content = {"identity": self.identity, "finished": finished, "files": self._names}
            fresh.write_text(json.dumps(content) + "\n", encoding="utf-8")

    def close(self) -> None:
        """Closes the files; those in a folder stay for a later run."""
        while self._files:
            self._files.pop().close()


def _others(folder: Path) -> bool:
    """Whether a folder holds more than what a run leaves that is killed at its very first file."""
    return bool(set(folder.iterdir()) - set(leftovers(folder, RUN)))


def folder_of(scratch: str | Path, seed: int) -> Path:
    """The scratch folder of one seed, inside the folder for several seeds."""
    return Path(scratch) / f"seed-{seed}"


def remove_run(folder: Path) -> None:
    """Removes the files of a finished run, and the folder where it is then empty."""
    try:
        names = json.loads((folder / RUN).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    own = [folder / str(name) for name in (*names, RUN)]
    for path in (*own, *leftovers(folder, RUN)):
        if path.parent == folder:
            path.unlink(missing_ok=True)
    with suppress(OSError):  # not empty
        folder.rmdir()


def _bytes(rows: npt.NDArray[Any]) -> memoryview:
    """A view of a contiguous array's memory."""
    return rows.reshape(-1).view(np.uint8).data
