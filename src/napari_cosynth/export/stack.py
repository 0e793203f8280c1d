"""The project's training stack: one TIFF per array, the layouts as CSV, everything else as JSON.

=====================  ==========================================================================
``images.tif``         uint8 (N, H, W, 3), RGB
``labels.tif``         uint8 (N, H, W), semantic classes
``instances.tif``      int32 (N, H, W), id = row of the layout + 1, spurious ones above
``distances.tif``      float32 (N, H, W) in [0, 1]
``layouts.csv``        ``sample,index,axis-0,axis-1,class``: napari's columns per sample
``cosynth.json``       ``classes`` (names, background first), ``colors``, ``mpp``, ``samples``
=====================  ==========================================================================
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tifffile

from napari_cosynth.atomic import replaced_folder
from napari_cosynth.stack_format import DESCRIPTION, FORMAT, read_description
from napari_cosynth.types import Record, Synthesis

ARRAYS = {"images": "image", "labels": "labels", "instances": "instances", "distances": "distance"}
LAYOUTS = "layouts.csv"


@dataclass(frozen=True)
class Described:
    """A record and its entry in ``cosynth.json``, for one that was read or edited."""

    record: Record
    description: dict[str, Any]
    """JSON-ready: a recipe, or where the record comes from."""


Item: TypeAlias = Record | Synthesis | Described


def write_stack(items: Sequence[Item], path: Path, overwrite: bool = False) -> Path:
    """Writes records or syntheses of one shape, class table and µm/px as a stack folder.

    Raises ValueError naming the sample that does not fit, FileExistsError without ``overwrite``.
    """
    records = _agreeing(items, Path(path))
    first = records[0]
    with replaced_folder(Path(path), overwrite) as folder:
        for name, field in ARRAYS.items():
            stacked = np.stack([getattr(r, field) for r in records])
            _write_tiff(folder / f"{name}.tif", stacked, rgb=name == "images", mpp=first.mpp)
        lines = ["sample,index,axis-0,axis-1,class", *_layout_lines(records)]
        (folder / LAYOUTS).write_text("\n".join(lines) + "\n", encoding="utf-8")
        content = {
            "format": FORMAT,
            "classes": list(first.classes.names),
            "colors": first.classes.colors.tolist(),
            "mpp": first.mpp,
            "samples": [_sample(item) for item in items],
        }
        _write_description(folder / DESCRIPTION, content)
    return Path(path)


def append_stack(items: Sequence[Item], path: Path) -> Path:
    """Adds samples behind those of a stack folder, or makes the folder where there is none.

    The joint stack is written whole beside the old one and then takes its place; the old samples,
    their descriptions and any other file in the folder stay as they are. Raises ValueError with the
    reason, and changes nothing, where the folder is no stack or its classes, µm/px or shape differ.
    """
    path = Path(path)
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return write_stack(items, path, overwrite=True)
    records = _agreeing(items, path)
    old = _read_description(path)
    first, count = records[0], len(old["samples"])
    for name, found, wanted in (
        ("classes", list(first.classes.names), old["classes"]),
        ("µm/px", first.mpp, old["mpp"]),
    ):
        if found != wanted:
            raise ValueError(f"{path}: cannot append: its {name} {wanted} are not {found}")
    with replaced_folder(path, overwrite=True) as folder:
        for name, field in ARRAYS.items():
            added = np.stack([getattr(r, field) for r in records])
            joint = np.concatenate([_read_tiff(path / f"{name}.tif", count, added), added])
            _write_tiff(folder / f"{name}.tif", joint, rgb=name == "images", mpp=first.mpp)
        lines = [*_read_text(path / LAYOUTS).splitlines(), *_layout_lines(records, count)]
        (folder / LAYOUTS).write_text("\n".join(lines) + "\n", encoding="utf-8")
        old["samples"] += [_sample(item) for item in items]
        _write_description(folder / DESCRIPTION, old)
        for other in path.iterdir():
            if not (folder / other.name).exists():
                (shutil.copytree if other.is_dir() else shutil.copy2)(other, folder / other.name)
    return path


def _agreeing(items: Sequence[Item], path: Path) -> list[Record]:
    """The items' records, checked to be of one shape, class table and µm/px."""
    if not items:
        raise ValueError(f"{path}: nothing to save")
    records = [item if isinstance(item, Record) else item.record for item in items]
    first = records[0]
    for index, record in enumerate(records):
        for name, found, wanted in (
            ("shape", record.labels.shape, first.labels.shape),
            ("classes", record.classes.names, first.classes.names),
            ("mpp", record.mpp, first.mpp),
        ):
            if found != wanted:
                raise ValueError(
                    f"{path}: sample {index}: {name} {found} is not sample 0's {wanted}"
                )
    return records


def _read_tiff(path: Path, count: int, added: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The ``count`` samples of an existing file, checked to be of the added ones' kind."""
    try:
        array = np.asarray(tifffile.imread(path))
    except Exception as error:  # decoders raise what they like on damaged files
        raise ValueError(f"{path}: cannot be read as a TIFF ({error})") from None
    if array.ndim == added.ndim - 1 and count == 1:
        array = array[None]  # tifffile drops a single sample's axis
    wanted = (count, *added.shape[1:])
    if array.shape != wanted or array.dtype != added.dtype:
        raise ValueError(
            f"{path}: cannot append: it holds {array.dtype} {array.shape}, "
            f"expected {added.dtype} {wanted}"
        )
    return array


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as text ({error})") from None


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if not path.is_file():
        raise ValueError(f"{folder}: exists and is not a training stack (no {DESCRIPTION})")
    return read_description(path)


def _write_tiff(path: Path, array: np.ndarray[Any, Any], rgb: bool, mpp: float) -> None:
    per_centimetre = 1e4 / mpp
    tifffile.imwrite(
        path,
        array,
        photometric="rgb" if rgb else "minisblack",
        compression="zlib",
        resolution=(per_centimetre, per_centimetre),
        resolutionunit="CENTIMETER",
        metadata={"axes": "NYXS" if rgb else "NYX"},
    )


def _layout_lines(records: Sequence[Record], first_sample: int = 0) -> list[str]:
    lines = []
    for sample, record in enumerate(records, start=first_sample):
        names = record.classes.names
        for row, ((y, x), class_id) in enumerate(
            zip(record.layout.centroids, record.layout.class_ids, strict=True)
        ):
            lines.append(f"{sample},{row},{float(y)!r},{float(x)!r},{names[class_id]}")
    return lines


def _sample(item: Item) -> dict[str, Any]:
    if isinstance(item, Described):
        return item.description
    if isinstance(item, Synthesis):
        return item.recipe
    return {
        "synthetic": False,
        "tissue": item.tissue,
        "stain": item.stain,
        "source": Path(item.source).name,
    }


def _write_description(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
