"""Packed data sets: zip files of PNG images with a JSON index, in parts of a chosen size.

Each ``records-000.zip`` holds ``index.json`` and, for its record number N, ``N/image.png`` (RGB),
``N/instances.png`` (16 bits) and ``N/labels.png`` (8 bits). The index names the classes, their
colours, µm/px, and for each record its part (the data set it was packed from), name, tissue, stain
and shape.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.io.errors import one_line
from napari_cosynth.io.settings import FORBID_UNKNOWN, parse, plain
from napari_cosynth.records.base import NamedRecords, Parts
from napari_cosynth.slides.files import select
from napari_cosynth.types import ClassTable, Record

_LAYERS = ("image", "instances", "labels")
LARGEST_MEMBER = 2**29
"""Most bytes of an index or a layer, unpacked."""


@dataclass(frozen=True)
class _Entry:
    __pydantic_config__ = FORBID_UNKNOWN

    part: str
    name: str
    tissue: str
    stain: str
    shape: tuple[int, int]


@dataclass(frozen=True)
class _Index:
    __pydantic_config__ = FORBID_UNKNOWN

    classes: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    mpp: float
    records: tuple[_Entry, ...]
    format: int = 1

    def __post_init__(self) -> None:
        if self.format != 1:
            raise ValueError(f"format: expected 1, got {self.format} (a newer version wrote this)")


class PackedDataset(NamedRecords):
    """A folder of ``records-*.zip``; ``part`` chooses one of the data sets packed into it.

    Raises ValueError naming file and field if an index or a record is damaged.
    """

    def __init__(
        self,
        root: str | Path,
        part: str = "",
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        shards = sorted(self.root.glob("records-*.zip"))
        if not shards:
            raise ValueError(f"{self.root}: no records-*.zip")
        indices = {path: _read_index(path) for path in shards}
        first = next(iter(indices.values()))
        for path, index in indices.items():
            if (index.classes, index.mpp) != (first.classes, first.mpp):
                raise ValueError(f"{path}: its classes or µm/px are not those of {shards[0].name}")
        self.classes = ClassTable(first.classes, np.array(first.colors, np.uint8))
        self.mpp = first.mpp
        self._places: dict[str, tuple[Path, int, _Entry]] = {}
        for path, index in indices.items():
            for number, entry in enumerate(index.records):
                if part and entry.part != part:
                    continue
                if entry.name in self._places:
                    raise ValueError(f"{path}: {entry.name!r} is there twice; name one part of it")
                self._places[entry.name] = path, number, entry
        if not self._places:
            raise ValueError(f"{self.root}: part: no records of {part!r}")
        self.names = tuple(select(self._places, only, without, self.root))

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return any(root.glob("records-*.zip"))

    def tissue_of(self, name: str) -> str:
        return self._places[name][2].tissue

    def parts(self, name: str) -> Parts:
        path, number, entry = self._places[name]
        layers = {}
        with zipfile.ZipFile(path) as archive:
            for layer in _LAYERS:
                member = f"{number}/{layer}.png"
                try:
                    layers[layer] = _decoded(_member(archive, member))
                except Exception as error:  # decoders raise what they like on damaged files
                    raise ValueError(
                        f"{path}: {member}: cannot be read ({one_line(error)})"
                    ) from None
                if layers[layer].shape[:2] != entry.shape:
                    raise ValueError(
                        f"{path}: {member}: expected {entry.shape}, got {layers[layer].shape[:2]}"
                    )
        if int(layers["labels"].max(initial=0)) >= len(self.classes):
            raise ValueError(f"{path}: {number}/labels.png: a class beyond {len(self.classes) - 1}")
        return Parts(
            layers["image"].astype(np.uint8, copy=False),
            layers["instances"].astype(np.int32),
            layers["labels"].astype(np.uint8, copy=False),
            self.mpp,
            entry.tissue,
            f"{path}: {entry.part}: {entry.name}",
            entry.stain,
        )


def write_packed(
    folder: Path,
    records: Iterable[tuple[str, str, Record]],
    classes: ClassTable,
    mpp: float,
    limit: int | None,
) -> list[Path]:
    """Writes (part, name, record) triples to ``records-000.zip``, ... of at most ``limit`` bytes.

    All records are in ``classes`` and at ``mpp`` µm/px. Raises ValueError if a single record exceeds
    the limit.
    """
    shards: list[Path] = []
    pending: list[tuple[_Entry, dict[str, bytes]]] = []
    size = 0
    room = 0.98 * limit if limit is not None else float("inf")  # the rest is for the index

    def finish() -> None:
        path = folder / f"records-{len(shards):03d}.zip"
        colors: Any = tuple(tuple(int(v) for v in c) for c in classes.colors)
        index = _Index(classes.names, colors, mpp, tuple(entry for entry, _ in pending))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("index.json", json.dumps(plain(index)), zipfile.ZIP_DEFLATED)
            for number, (_, files) in enumerate(pending):
                for layer, content in files.items():
                    archive.writestr(f"{number}/{layer}.png", content)
        shards.append(path)

    for part, name, record in records:
        if record.instances.max(initial=0) > 65535:
            raise ValueError(f"{record.source}: more than 65535 instances")
        height, width = record.labels.shape
        entry = _Entry(part, name, record.tissue, record.stain, (height, width))
        layers: tuple[npt.NDArray[Any], ...] = (
            record.image,
            record.instances.astype(np.uint16),
            record.labels,
        )
        files = dict(zip(_LAYERS, map(_encoded, layers), strict=True))
        needed = sum(len(content) + 400 for content in files.values())
        if needed > room:
            raise ValueError(f"{record.source}: needs {needed / 2**20:.1f} MiB, above the shards'")
        if size + needed > room:
            finish()
            pending, size = [], 0
        pending.append((entry, files))
        size += needed
    finish()
    return shards


def _encoded(array: npt.NDArray[Any]) -> bytes:
    import imageio.v3 as iio

    return bytes(iio.imwrite("<bytes>", array, extension=".png"))


def _decoded(content: bytes) -> npt.NDArray[Any]:
    import imageio.v3 as iio

    return np.asarray(iio.imread(content, extension=".png"))


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The content of a member. Raises ValueError if it states more than ``LARGEST_MEMBER`` bytes.

    zipfile unpacks no more bytes than a member states.
    """
    if (size := archive.getinfo(name).file_size) > LARGEST_MEMBER:
        raise ValueError(f"expected at most {LARGEST_MEMBER} bytes, got {size}")
    return archive.read(name)


def _read_index(path: Path) -> _Index:
    try:
        with zipfile.ZipFile(path) as archive:
            table = json.loads(_member(archive, "index.json"))
    except Exception as error:  # zipfile raises what it likes on damaged files
        raise ValueError(f"{path}: index.json: cannot be read ({one_line(error)})") from None
    return parse(_Index, table, f"{path}: index.json")
