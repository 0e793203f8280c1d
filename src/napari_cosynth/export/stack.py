"""Our training stack: one TIFF for each array, the layouts as CSV, everything else as JSON.

=====================  ==========================================================================
``images.tif``         uint8 (N, H, W, 3), RGB
``labels.tif``         uint8 (N, H, W), semantic classes
``instances.tif``      int32 (N, H, W), id = row of the layout + 1, higher ids are spurious
``distances.tif``      float32 (N, H, W) in [0, 1]
``layouts.csv``        ``sample,index,axis-0,axis-1,class``: the sample, then napari's columns
``cosynth.json``       ``classes`` (names, background first), ``colors``, ``mpp``, ``samples``
=====================  ==========================================================================

The TIFFs are OME-TIFFs whose samples lie along T, with µm/px in the OME-XML and the resolution tags.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import IO, Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import numpy.typing as npt
import tifffile

from napari_cosynth.export.base import Described, Item, SidecarWriter, exporting
from napari_cosynth.io.atomic import replaced_folder
from napari_cosynth.io.stack_format import (
    DESCRIPTION,
    LAYOUTS,
    Pages,
    read_description,
    read_points,
)
from napari_cosynth.known import COMPRESSIONS
from napari_cosynth.types import Record

__all__ = ["ARRAYS", "Described", "Item", "append_stack", "write_stack"]

ARRAYS = {"images": "image", "labels": "labels", "instances": "instances", "distances": "distance"}
DTYPES: dict[str, type[np.generic]] = {
    "images": np.uint8,
    "labels": np.uint8,
    "instances": np.int32,
    "distances": np.float32,
}
LARGEST_CLASSIC = 2**32 - 2**25
"""Most bytes of pixels, before compression, of a classic TIFF; above it a BigTIFF is written."""

Arrays = dict[str, npt.NDArray[Any]]
"""One sample: file name without suffix -> array."""


def write_stack(
    items: Iterable[Item], path: Path, overwrite: bool = False, compression: str = "zlib"
) -> Path:
    """Writes records or syntheses of one shape, class table and µm/px as a stack folder.

    ``compression``: zlib, none, or lzw and zstd, which need imagecodecs to read. Raises ValueError
    naming the sample that does not fit, FileExistsError without ``overwrite``.
    """
    if compression not in COMPRESSIONS:
        raise ValueError(
            f"compression: expected one of {', '.join(COMPRESSIONS)}, got {compression!r}"
        )
    with exporting(items, path, "stack", overwrite, one_shape=True) as (folder, samples):
        mpp = 0.0

        def arrays() -> Iterator[Arrays]:
            nonlocal mpp
            for sample in samples:
                mpp = sample.record.mpp
                yield {name: getattr(sample.record, field) for name, field in ARRAYS.items()}

        spool = _Spool(folder, arrays())
        spool.write(mpp, compression)
    return Path(path)


def append_stack(items: Iterable[Item], path: Path) -> Path:
    """Adds samples behind those of a stack folder, or makes the folder if it does not exist.

    The joint stack is written whole beside the old one and then takes its place. The old samples, their
    descriptions and any other file in the folder stay as they are. Raises ValueError with the reason, and
    changes nothing, if the folder is no stack or its classes, µm/px or shape differ.
    """
    path = Path(path)
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return write_stack(items, path, overwrite=True)
    waiting = iter(items)
    first = next(waiting, None)
    if first is None:
        raise ValueError(f"{path}: nothing to save")
    record = first if isinstance(first, Record) else first.record
    old = _read_description(path)
    count = len(old["samples"])
    for name, found, wanted in (
        ("classes", list(record.classes.names), old["classes"]),
        ("µm/px", record.mpp, old["mpp"]),
    ):
        if found != wanted:
            raise ValueError(f"{path}: cannot append: its {name} {wanted} are not {found}")
    before = {}
    for name, field in ARRAYS.items():
        one = getattr(record, field)
        before[name] = Pages(path / f"{name}.tif", count, DTYPES[name], one.ndim + 1)
        if before[name].shape[1:] != one.shape:
            raise ValueError(
                f"{before[name].path}: cannot append: it holds {one.dtype} {before[name].shape}, "
                f"expected {one.dtype} {(count, *one.shape)}"
            )
    points = read_points(path / LAYOUTS, count, record.classes.names)
    height, width = record.labels.shape
    with replaced_folder(path, keeps=True) as folder:
        with SidecarWriter(folder, path, "stack", one_shape=True) as sidecar:
            sidecar.begin(record)
            names = old.get("names") or [""] * count
            for description, name, rows in zip(old["samples"], names, points, strict=True):
                sidecar.write(description, name, (height, width), rows)

            def arrays() -> Iterator[Arrays]:
                for index in range(count):
                    yield {name: pages[index] for name, pages in before.items()}
                for item in chain([first], waiting):
                    added = sidecar.add(item).record
                    yield {name: getattr(added, field) for name, field in ARRAYS.items()}

            _Spool(folder, arrays()).write(record.mpp, "zlib")
        for other in path.iterdir():
            if not (folder / other.name).exists():
                (shutil.copytree if other.is_dir() else shutil.copy2)(other, folder / other.name)
    return path


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if not path.is_file():
        raise ValueError(f"{folder}: exists and is not a training stack (no {DESCRIPTION})")
    description = read_description(path)
    if description.get("exporter", "stack") != "stack":
        raise ValueError(f"{folder}: is in the format {description['exporter']}, not a stack")
    return description


class _Spool:
    """Temporary files for the pixels of samples, until the TIFFs can be written.

    OME-XML states the number of samples, which is known only after the last one. With their pixels in
    files, memory holds one sample.
    """

    def __init__(self, folder: Path, samples: Iterator[Arrays]) -> None:
        self._folder = folder
        self._count = 0
        self._kinds: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
        with ExitStack() as stack:
            handles: dict[str, IO[bytes]] = {
                name: stack.enter_context(self._raw(name).open("wb")) for name in ARRAYS
            }
            for arrays in samples:
                for name, array in arrays.items():
                    self._kinds[name] = array.dtype, array.shape
                    handles[name].write(np.ascontiguousarray(array).tobytes())
                self._count += 1

    def _raw(self, name: str) -> Path:
        return self._folder / f".{name}.raw"

    def _pages(self, name: str) -> Iterator[npt.NDArray[Any]]:
        """The samples of an array one by one; if the file were mapped, all would stay in memory."""
        dtype, shape = self._kinds[name]
        with self._raw(name).open("rb") as handle:
            for _ in range(self._count):
                yield np.fromfile(handle, dtype, int(np.prod(shape))).reshape(shape)

    def write(self, mpp: float, compression: str) -> None:
        """Writes the TIFFs, if there are samples, and removes the temporary files."""
        for name, (dtype, shape) in self._kinds.items():
            path = self._folder / f"{name}.tif"
            _write_tiff(path, self._pages(name), (self._count, *shape), dtype, mpp, compression)
        for name in ARRAYS:
            self._raw(name).unlink()


def _write_tiff(
    path: Path,
    pages: Iterator[npt.NDArray[Any]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    mpp: float,
    compression: str,
) -> None:
    per_centimetre = 1e4 / mpp
    rgb = len(shape) == 4
    tifffile.imwrite(
        path,
        pages,
        shape=shape,
        dtype=dtype,
        bigtiff=dtype.itemsize * int(np.prod(shape)) > LARGEST_CLASSIC,
        ome=True,
        photometric="rgb" if rgb else "minisblack",
        compression=None if compression == "none" else compression,
        resolution=(per_centimetre, per_centimetre),
        resolutionunit="CENTIMETER",
        metadata={
            "axes": "TYXS" if rgb else "TYX",
            "Name": path.stem,
            # Not random, so that the same stack made again has the same bytes.
            "UUID": str(uuid5(NAMESPACE_OID, f"{path.stem} {shape}")),
            "PhysicalSizeX": mpp,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": mpp,
            "PhysicalSizeYUnit": "µm",
        },
    )
