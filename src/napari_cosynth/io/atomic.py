"""Writing whole or not at all: a temporary name beside the target, then a rename."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_cosynth.io.paths import check_target


@contextmanager
def replaced_folder(target: Path, overwrite: bool = False, keeps: bool = False) -> Iterator[Path]:
    """A fresh folder to fill, which becomes ``target`` when the block ends without an error.

    An existing ``target`` is replaced only with ``overwrite`` and only at the end, and only where
    :func:`~napari_cosynth.io.paths.check_target` has nothing against it, whose errors are raised.
    With ``keeps`` the caller takes over what others have put there, and that is not looked for.
    On any error the fresh folder is removed and ``target`` is as it was. Of a link, what it points to
    is replaced. What was written is on the disk before the name is: a loss of power leaves it whole
    or not there.
    """
    if not keeps:
        check_target(target, overwrite, folder=True)
    target = target.resolve()
    with _beside(target):
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    fresh.chmod(0o755)
    old: Path | None = None
    try:
        yield fresh
        for path in (*fresh.rglob("*"), fresh):
            _to_disk(path)
        if target.exists():
            old = fresh.with_name(fresh.name + ".old")
            target.rename(old)
        fresh.rename(target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        if old is not None and old.exists() and not target.exists():
            old.rename(target)
        raise
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def replaced_file(target: Path) -> Iterator[Path]:
    """A path to write to, which replaces ``target`` when the block ends without an error.

    What was written is on the disk before the name is: a loss of power leaves one of the two.
    """
    target = target.resolve()
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
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def leftovers(folder: Path, *names: str) -> Iterator[Path]:
    """What killed writers of files or folders called ``names`` (patterns) have left in a folder."""
    return (path for name in names for path in list(folder.glob(f".{name}.*")))


def _to_disk(path: Path) -> None:
    """Waits until a file's content, or a folder's list of names, is on the disk."""
    if path.is_dir() and os.name == "nt":  # Windows has no handle for a folder
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _beside(target: Path) -> Iterator[None]:
    """Makes the folder to write in; an error names what was to be written, not a temporary name."""
    place = next(parent for parent in target.parents if parent.exists())
    if not place.is_dir():
        raise NotADirectoryError(f"{target}: {place} is a file, expected a folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        error.filename = os.fspath(target)
        raise
