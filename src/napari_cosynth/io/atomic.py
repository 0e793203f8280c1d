"""Atomic writes of files and folders: to a temporary name beside the target, then renamed."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_cosynth.io.paths import check_target, resolved


@contextmanager
def replaced_folder(target: Path, overwrite: bool = False, keeps: bool = False) -> Iterator[Path]:
    """A fresh folder to fill, which becomes ``target`` when the block ends without an error.

    An existing ``target`` is replaced only with ``overwrite``, only at the end, and only if
    :func:`~napari_cosynth.io.paths.check_target` allows it; its errors are raised. With ``keeps``
    that check is skipped: the caller carries other people's files over itself. On any error the
    fresh folder is removed and ``target`` is as it was. A link stays; the folder it points to is
    replaced. The content reaches the disk before the rename, and the name before this returns, so a
    power loss leaves a whole folder or none. On Linux and macOS two names are exchanged in one step, so
    ``target`` is there at every moment. Elsewhere a kill between two renames leaves the earlier folder
    beside it as ``.NAME.*.old``.
    """
    if not keeps:
        check_target(target, overwrite, folder=True)
    target = resolved(target)
    with _beside(target):
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    fresh.chmod(0o755)
    old: Path | None = None
    try:
        yield fresh
        for path in (*fresh.rglob("*"), fresh):
            _to_disk(path)
        if target.exists() and not _exchanged(fresh, target):
            old = fresh.with_name(fresh.name + ".old")
            target.rename(old)
        if not target.exists():
            fresh.rename(target)
        _to_disk(target.parent)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        if old is not None and old.exists() and not target.exists():
            old.rename(target)
        raise
    for replaced in (fresh, *filter(None, (old,))):
        shutil.rmtree(replaced, ignore_errors=True)


@contextmanager
def replaced_file(target: Path) -> Iterator[Path]:
    """A path to write to, which replaces ``target`` when the block ends without an error.

    The content reaches the disk before the rename, and the name before this returns, so a power loss
    leaves the old or the new file.
    """
    target = resolved(target)
    with _beside(target):
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent
        )
    os.close(handle)
    fresh = Path(name)
    try:
        yield fresh
        fresh.chmod(0o644)
        _to_disk(fresh)
        fresh.replace(target)
        _to_disk(target.parent)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def leftovers(folder: Path, *names: str) -> Iterator[Path]:
    """Temporary files and folders that killed writers left in a folder.

    ``names`` are patterns for the names of their targets.
    """
    return (path for name in names for path in list(folder.glob(f".{name}.*")))


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two names of a file system were exchanged in one step, which not every system can."""
    if os.name == "nt":
        return False
    library = ctypes.CDLL(None)
    names = os.fsencode(one), os.fsencode(other)
    if hasattr(library, "renameat2"):  # Linux: from the working folder, RENAME_EXCHANGE
        return bool(library.renameat2(-100, names[0], -100, names[1], 2) == 0)
    if hasattr(library, "renamex_np"):  # macOS: RENAME_SWAP
        return bool(library.renamex_np(*names, 2) == 0)
    return False


def _to_disk(path: Path) -> None:
    """Waits until a file's content, or a folder's list of entries, is on the disk."""
    if path.is_dir() and os.name == "nt":  # Windows has no handle for a folder
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _beside(target: Path) -> Iterator[None]:
    """Makes the target's parent folder; errors within name the target, not the temporary name."""
    place = next(parent for parent in target.parents if parent.exists())
    if not place.is_dir():
        raise NotADirectoryError(f"{target}: {place} is a file, expected a folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        error.filename = os.fspath(target)
        raise
