"""Arrays that lie on the disk while a large canvas is sampled, and what a later run finds of them."""

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
"""Marks a folder as a scratch folder: ``identity`` of its run, the names of its ``files``, and the steps
it has ``finished``; null before there are any to go on from."""


class Rows:
    """An array (H, ...) on the disk, read and written by whole rows.

    Files rather than mapped memory: what is mapped counts as the process' own until the system wants
    it back, and a limit on memory would count it.
    """

    def __init__(
        self, file: BinaryIO, shape: tuple[int, ...], dtype: npt.DTypeLike, name: str
    ) -> None:
        self._file, self._name = file, name
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._stride = int(np.prod(shape[1:])) * self.dtype.itemsize

    def read(self, y0: int, y1: int) -> npt.NDArray[Any]:
        """Rows ``y0 <= y < y1``. Raises OSError where the file ends before."""
        rows = np.empty((y1 - y0, *self.shape[1:]), self.dtype)
        self._file.seek(y0 * self._stride)
        if self._file.readinto(_bytes(rows)) != rows.nbytes:  # type: ignore[attr-defined]
            raise OSError(f"{self._name}: ends before row {y1}")
        return rows

    def write(self, y0: int, rows: npt.NDArray[Any]) -> None:
        """Rows from ``y0`` on."""
        wanted = (len(rows), *self.shape[1:])
        if rows.shape != wanted or rows.dtype != self.dtype:
            raise ValueError(f"{self._name}: expected {self.dtype} {wanted}, got {rows.shape}")
        self._file.seek(y0 * self._stride)
        self._file.write(_bytes(np.ascontiguousarray(rows)))

    def settle(self) -> None:
        """Returns when what was written is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())


class Scratch:
    """A run's arrays: without a folder in files that end with the process however it ends; in a folder
    they stay until :func:`remove_run`, and a run of the same ``identity`` goes on from its last step.

    Raises ValueError naming the folder where it holds another run, or anything that is none of ours.
    """

    def __init__(self, folder: Path | None, identity: str) -> None:
        self.folder = folder
        self.identity = identity
        self.finished: int | None = None
        """Steps that an earlier run has finished; None where there is nothing of one."""
        self._files: list[BinaryIO] = []
        self._names: list[str] = []
        if folder is None:
            return
        if folder.exists():
            self.finished = self._finished_in(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if self.finished is None:
            self._record(None)  # so that a run killed before its first step may begin anew

    def _finished_in(self, folder: Path) -> int | None:
        record = folder / RUN
        if not folder.is_dir() or (not record.is_file() and any(folder.iterdir())):
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
        """An array, zero where it is new."""
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
        """So many steps are done and on the disk."""
        self.finished = finished
        if self.folder is not None:
            self._record(finished)

    def _record(self, finished: int | None) -> None:
        assert self.folder is not None
        with replaced_file(self.folder / RUN) as fresh:
            content = {"identity": self.identity, "finished": finished, "files": self._names}
            fresh.write_text(json.dumps(content) + "\n", encoding="utf-8")

    def close(self) -> None:
        """Lets go of the files; those of a folder stay for a later run."""
        while self._files:
            self._files.pop().close()


def folder_of(scratch: str | Path, seed: int) -> Path:
    """Where in a folder for the runs of several seeds one seed's lies."""
    return Path(scratch) / f"seed-{seed}"


def remove_run(folder: Path) -> None:
    """The run of a folder is over: nothing of it stays; what others have put into the folder does."""
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
