"""Files of a data set, and which of them belong together, on any operating system.

- Hidden files and folders are skipped, and so are those that macOS, Windows and storage boxes add
  (``._NAME``, ``__MACOSX``). Linked files and folders are followed; a circle of links is walked once.
- Names are compared in Unicode's composed form (NFC), because macOS decomposes them (NFD).
- Files are matched by name without ending, such as ``.ome.tif`` or ``.geojson.gz``, in any case.
- Two candidates for one file are an error only if something asks for that file.
"""

from __future__ import annotations

import logging
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
SLIDE_SUFFIXES = (".svs", ".ndpi", ".scn", ".mrxs", ".bif", ".vms", ".vmu", ".dcm", ".vsi", ".czi")
"""Endings of slides' names. Not all are read: some occur only in the names of files beside a slide."""
_DOUBLE = (".ome.tif", ".ome.tiff", ".ome.zarr", ".geojson.gz", ".json.gz")
_NOT_OURS = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
_DRAWN = re.compile(r"overla(y|id)|thumb|preview|contour|visuali")
"""Folders of drawings made from the images, which have the images' names."""
_IMAGES = re.compile(r"image|img|tile|slide|wsi|patch")


def composed(name: str) -> str:
    """A name in Unicode's composed form (NFC), for comparison."""
    return unicodedata.normalize("NFC", name)


def name_of(path: Path | PurePosixPath) -> str:
    """A file's name without its ending, composed."""
    name = composed(path.name)
    for ending in _DOUBLE:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return PurePosixPath(name).stem


def files_in(
    folder: Path,
    suffixes: Sequence[str],
    below: bool = False,
    without_folders: Iterable[str] = (),
) -> list[Path]:
    """The files of a folder whose names end in one of ``suffixes``, in any case, sorted.

    ``below`` includes the folders below. ``without_folders`` are lower-case names of folders to leave
    out. Broken links are left out with a warning. Raises ValueError if there are no files.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    found, gone = [], []
    for path in _entries(folder, below, frozenset(without_folders)):
        if path.name.lower().endswith(tuple(suffixes)):
            if path.is_file():
                found.append(path)
            elif path.is_symlink() and not path.exists():
                gone.append(path)
    if gone:
        logger.warning("%s: %d links lead to nothing (%s, ...)", folder, len(gone), gone[0].name)
    if not found:
        where = "in it or below" if below else "in it"
        kinds = ", ".join(suffixes)
        what = f"images ({kinds})" if suffixes == IMAGE_SUFFIXES else f"files ({kinds})"
        raise ValueError(f"{folder}: no {what} {where}")
    return sorted(found)


def first_below(root: Path, suffix: str) -> Path | None:
    """Any one file with an ending in a folder or below it, to recognise a format by; None if none."""
    if not root.is_dir():
        return None
    entries = _entries(root, True, frozenset())
    return next((p for p in entries if p.name.lower().endswith(suffix) and p.is_file()), None)


def folders_in(folder: Path, suffix: str) -> list[Path]:
    """The subfolders whose names end in ``suffix``, in any case, sorted; empty if it is no folder."""
    entries = _entries(folder, False, frozenset()) if folder.is_dir() else ()
    return [path for path in entries if path.name.lower().endswith(suffix) and path.is_dir()]


def named_below(root: Path, name: str) -> list[Path]:
    """The files and folders in a folder or below it that have exactly this name, sorted."""
    return sorted(p for p in _entries(root, True, frozenset()) if composed(p.name) == name)


def _entries(folder: Path, below: bool, without: frozenset[str]) -> Iterator[Path]:
    """The entries of a folder, with ``below`` of all under it, without hidden and system ones."""
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            about = here.stat()
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            raise ValueError(f"{here}: cannot be listed ({error.strerror})") from None
        if (about.st_dev, about.st_ino) in seen:
            continue
        seen.add((about.st_dev, about.st_ino))
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in _NOT_OURS:
                continue
            yield here / entry.name
            if below and entry.is_dir() and entry.name.lower() not in without:
                waiting.append(here / entry.name)


def by_name(paths: Iterable[Path], name: Callable[[Path], str] = name_of) -> dict[str, Path]:
    """Files by their name, sorted. Raises ValueError if two files share one.

    A link and the file it points to count as one.
    """
    found: dict[str, Path] = {}
    for path in paths:
        other = found.setdefault(name(path), path)
        if other is not path and not other.samefile(path):
            raise ValueError(f"{path}: {other} has the same name")
    return dict(sorted(found.items()))


def images_in(folder: Path) -> dict[str, Path]:
    """Image files of a folder by name, sorted. Raises ValueError if there are none, or two of a name."""
    return by_name(files_in(folder, IMAGE_SUFFIXES))


def partners(files: Mapping[str, Path], candidates: Iterable[Path]) -> dict[str, Path]:
    """The candidate that belongs to each file, under the file's key; files without one are absent.

    The two names match with or without the other's ending (``a.geojson``, ``a.svs.geojson``), or after
    an image as QuPath calls it (``a.svs - 20x``). Letter case is ignored only if nothing else matches.
    Among several candidates the one in the file's own folder wins, then one in a folder that holds no
    drawings, then one in a folder of images. Raises ValueError naming two if several remain.
    """
    known: list[dict[str, list[Path]]] = [{}, {}, {}]
    for path in candidates:
        full = composed(path.name)
        for table, key in zip(known, (full, name_of(path), PurePosixPath(full).stem), strict=True):
            table.setdefault(key, []).append(path)
    folded = [{key.casefold(): paths for key, paths in table.items()} for table in known]
    found: dict[str, Path] = {}
    for name, path in files.items():
        own = name_of(path)
        plain = own.partition(" - ")[0]
        spelt = [own, composed(path.name), without_ending(own), plain, without_ending(plain)]
        wanted = dict.fromkeys(spelt)
        exact = (table[key] for key in wanted for table in known if key in table)
        alike = (
            table[key.casefold()] for key in wanted for table in folded if key.casefold() in table
        )
        if (several := next(exact, None) or next(alike, None)) is not None:
            found[name] = _meant(path, several)
    return found


def without_ending(name: str) -> str:
    """A name without an image's or slide's ending, ``a`` for ``a.svs``; other names stay as they are."""
    plain = PurePosixPath(name)
    known = plain.suffix.lower() in (*IMAGE_SUFFIXES, *SLIDE_SUFFIXES)
    return name_of(plain) if known else name


def _meant(path: Path, candidates: list[Path]) -> Path:
    beside = [c for c in candidates if c.parent == path.parent]
    plain = [c for c in candidates if not _DRAWN.search(c.parent.name.lower())]
    images = [c for c in plain if _IMAGES.search(c.parent.name.lower())]
    for some in (candidates, beside, plain, images):
        if some and all(some[0].samefile(other) for other in some[1:]):
            return some[0]
    raise ValueError(f"{path}: both {candidates[0]} and {candidates[1]} could belong to it")


def written_name(text: str) -> str:
    """The file name, without ending, in a path that another program wrote; also a Windows path."""
    return name_of(PurePosixPath(text.replace("\\", "/")))


def written_path(text: str) -> PurePosixPath:
    """A path below a folder, as another program wrote it; backslashes of Windows are separators.

    Raises ValueError if it leads out of the folder.
    """
    path = PurePosixPath(composed(text).replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise ValueError(f"expected a path below the folder, got {text!r}")
    return path


def find_written(folder: Path, path: PurePosixPath) -> Path | None:
    """The file that a written path names in a folder; None if there is none or several.

    Names match in either Unicode form, and in any case if the exact case does not exist.
    """
    here = folder
    for part in path.parts:
        try:
            entries = list(here.iterdir())
        except OSError:
            return None
        same = [p for p in entries if composed(p.name) == part]
        same = same or [p for p in entries if composed(p.name).casefold() == part.casefold()]
        if len(same) != 1:
            return None
        here = same[0]
    return here if here.is_file() else None
