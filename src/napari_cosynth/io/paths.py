"""Paths from the user: their names, and whether an output may be written there.

An output never replaces an input or a file of another program.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SHEETS = ("index,axis-0,axis-1,class",)
"""First lines of the CSV files that are outputs on their own."""
OBJECTS = (
    frozenset({"reading", "pairs", "scores"}),
    frozenset({"format", "identity", "figures"}),  # a report
    frozenset({"hard_core", "potentials", "tissues"}),  # a layout model
)
"""Keys of the JSON files that are outputs on their own, one set for each kind."""
_PARTS = (
    frozenset({"classes", "colors", "mpp", "samples"}),  # an export
    frozenset({"network", "class_names", "mpp"}),  # a checkpoint, a segmenter
    frozenset({"classes", "stages", "data", "mpp"}),  # a recipe
    frozenset({"checkpoint", "optimizers", "sha256"}),  # a carried state
    frozenset({"format", "reading", "items"}),  # the key of a reading
)
"""Keys of the JSON files that identify an output folder, one set for each kind."""
_WHOLES = (_PARTS[0], frozenset({"format", "plan", "checkpoint", "samples"}))
"""Keys of the outputs of which no part may be replaced alone: exports and generated data sets."""
PAGE = b'<!doctype html><html lang="en"><head><meta charset="utf-8">'
"""First bytes of every HTML page that this program writes."""
SOFTWARE = "napari-cosynth"
"""Program name in the metadata of single images."""

# Names of the files that may lie beside the one that identifies the folder.
_ARRAYS = r"(images|labels|instances|distances)\.tif|(images|labels|masks|types)\.npy"
_LISTS = r"layouts\.csv|counts\.csv|patch_info\.csv|annotations\.json|\.zattrs|\.zgroup"
_IN_EXPORT = re.compile(rf"{_ARRAYS}|{_LISTS}")
_BESIDE = {
    "config.json": re.compile(r"model\.safetensors|looks\.json|README\.md"),
    "recipe.json": re.compile(r"records-\d+\.zip"),
    "state.json": re.compile(r"state-\d+\.safetensors"),
    "key.json": re.compile(r"reading\.html"),
    "stack/cosynth.json": re.compile(r"image\.tif|overview\.png"),
}
_FOLDERS = ("images", "instances", "labels", "Images", "Labels")
"""Folders of an export that hold one or more files for each sample."""
_DROPPINGS = re.compile(r"\.DS_Store|\._.*|Thumbs\.db|desktop\.ini", re.IGNORECASE)
"""Files that file managers leave in any folder."""


def named(path: str | Path) -> Path:
    """The path with ``~`` expanded, and resolved if it would not end in a name (``.``, ``x/..``)."""
    path = Path(path).expanduser()
    return path if path.name not in ("", "..") else resolved(path)


def resolved(path: Path) -> Path:
    """The place that a path leads to. Raises ValueError naming it where its links lead in a ring."""
    try:
        return path.resolve()
    except RuntimeError:  # OSError since Python 3.13
        raise ValueError(f"{path}: its links lead in a ring") from None


def check_target(
    target: Path, overwrite: bool = False, reads: Iterable[Path] = (), folder: bool | None = None
) -> None:
    """Raises an error unless ``target`` may be written or replaced.

    ``folder`` says whether a folder or a file is to be written; None means either. An existing target
    raises FileExistsError without ``overwrite``, and NotADirectoryError or IsADirectoryError if it is of
    the other kind. With ``overwrite``, ValueError names what would be lost if the target

    - is or holds one of ``reads`` or the folder in which the program runs,
    - is part of an export or a generated data set among ``reads``,
    - is or holds anything but earlier output of this program.

    An empty folder is free.
    """
    if not target.exists():
        return
    if not overwrite:
        raise FileExistsError(f"{target}: exists already; --overwrite replaces it")
    if folder is not None and folder != target.is_dir():
        is_it, expected = ("file", "folder") if folder else ("folder", "file")
        error = NotADirectoryError if folder else IsADirectoryError
        raise error(f"{target}: is a {is_it}, expected a {expected}")
    place = resolved(target)
    for path in (*reads, Path.cwd()):
        if _holds(place, path):
            what = "the folder this runs in" if path == Path.cwd() else f"{path}, which is read"
            raise ValueError(f"{target}: is or holds {what}: name another place for the output")
        if _part_of_ours(place, path):
            raise ValueError(f"{target}: is part of {path}, which is read: name another place")
    other = next(_others(place) if place.is_dir() else _other_file(place), None)
    if other is not None:
        shown = target if other == place else target / other.relative_to(place)
        raise ValueError(
            f"{target}: is not replaced: {shown} is no earlier output of CoSynth: name another place, "
            "or move it away first"
        )


def check_new(folder: Path, advice: str, hidden: bool = False) -> None:
    """Raises FileExistsError, ending in ``advice``, unless a run may begin in ``folder``.

    It may if nothing exists there, or, with ``hidden``, a folder that holds hidden files only.
    """
    free = hidden and folder.is_dir() and all(p.name.startswith(".") for p in folder.iterdir())
    if folder.exists() and not free:
        raise FileExistsError(f"{folder}: exists already; {advice}")


def check_writable(target: Path) -> None:
    """Raises ValueError if nothing can be written beside ``target``; called before long work."""
    parent = next(p for p in resolved(target).parents if p.exists())
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise ValueError(f"{target}: cannot write in {parent}: {error.strerror}") from None


def report_files(out: Path) -> tuple[Path, Path]:
    """The two files of a report: the page ``OUT.html`` and the figures ``OUT.json``."""
    base = out.with_suffix("") if out.suffix in (".html", ".json") else out
    return base.parent / f"{base.name}.html", base.parent / f"{base.name}.json"


def _holds(place: Path, path: Path) -> bool:
    """Whether a path is ``place`` or lies in it, also through links or under another spelling."""
    real = resolved(path)
    if not real.exists():  # a name, such as that of a bundled checkpoint
        return False
    return any(place.samefile(p) for p in (real, *real.parents))


def _part_of_ours(place: Path, path: Path) -> bool:
    """Whether ``place`` is a part of the export or data set at ``path``, such as one of its shards.

    An output that a user wrote into a folder of files of their own is not a part of it.
    """
    real = resolved(path)
    files = ("cosynth.json", "manifest.json")
    ours = real.is_dir() and any(_known(_object(real / name), _WHOLES) for name in files)
    return ours and real in place.parents


def _others(folder: Path) -> Iterator[Path]:
    """The entries of a folder that this program did not write, judged by their content."""
    entries = sorted(p for p in folder.iterdir() if not _DROPPINGS.fullmatch(p.name))
    description = _object(folder / "cosynth.json")
    if _known(description, _PARTS):
        names = frozenset(map(str, description.get("names") or ()))
        yield from (p for p in entries if not _in_export(p, names))
        yield from _strangers(folder, names)
        return
    allowed = [
        pattern for name, pattern in _BESIDE.items() if _known(_object(folder / name), _PARTS)
    ]
    for path in entries:
        part = path.name == "split.csv" and _sheet(path) == "name,group,part"
        part = part or _known(_object(path), _PARTS)
        if part or any(pattern.fullmatch(path.name) for pattern in allowed):
            continue
        yield from _other_folder(path) if path.is_dir() else _other_file(path)


def _in_export(path: Path, names: frozenset[str]) -> bool:
    """Whether an entry in an export's folder belongs to the export."""
    if path.is_dir():
        # An OME-Zarr names its images by number.
        return path.name in (*_FOLDERS, "OME") or path.name.isdecimal()
    fixed = path.name == "cosynth.json" or _IN_EXPORT.fullmatch(path.name)
    return bool(fixed) or path.stem in names


def _strangers(folder: Path, names: frozenset[str]) -> Iterator[Path]:
    """Files in an export's folders of samples that belong to none of its samples."""
    for place in (folder / name for name in _FOLDERS):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if path.stem not in names and not _DROPPINGS.fullmatch(path.name):
                yield path


def _other_folder(folder: Path) -> Iterator[Path]:
    """What in a subfolder this program did not write; the subfolder itself if it is empty or a link."""
    if not folder.is_symlink() and any(folder.iterdir()):
        yield from _others(folder)
    else:
        yield folder


def _other_file(path: Path) -> Iterator[Path]:
    """The file itself, unless this program wrote it."""
    if path.suffix == ".json":
        if not _known(_object(path), OBJECTS):
            yield path
        return
    head = _head(path)
    ours = {
        ".csv": _sheet(path) in SHEETS,
        ".html": head.startswith(PAGE),
        ".png": SOFTWARE.encode() in head,
        ".tif": SOFTWARE.encode() in head,
        ".tiff": SOFTWARE.encode() in head,
    }
    if not ours.get(path.suffix.lower(), False):
        yield path


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as handle:
            return handle.read(4096)
    except OSError:
        return b""


def _sheet(path: Path) -> str:
    """The first line of a CSV file."""
    return _head(path).decode("utf-8", "replace").partition("\n")[0].strip()


def _object(path: Path) -> dict[str, Any]:
    if path.suffix != ".json":
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _known(content: dict[str, Any], kinds: Iterable[frozenset[str]]) -> bool:
    return any(keys <= content.keys() for keys in kinds)
