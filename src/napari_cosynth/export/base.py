"""The exporter protocol, and the files that every export has: recipes, names and layouts of samples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_cosynth.io.atomic import replaced_folder
from napari_cosynth.io.stack_format import DESCRIPTION, FORMAT, LAYOUTS, Point
from napari_cosynth.types import ClassTable, Record, Synthesis


@dataclass(frozen=True)
class Described:
    """A record and its entry in ``cosynth.json``, for a record that was read or edited."""

    record: Record
    description: dict[str, Any]
    """The entry, ready for JSON: a recipe, or where the record comes from."""
    name: str = ""
    """Name of the sample's files, if the format has files for each sample; empty means a number."""


Item: TypeAlias = Record | Synthesis | Described


class Exporter(Protocol):
    """Writes items to the folder ``path``, whole or not at all, and returns it.

    Items are taken one at a time, so memory holds only one. Raises ValueError naming the sample that does
    not fit, and FileExistsError if ``path`` exists and ``overwrite`` is false.
    """

    def __call__(self, items: Iterable[Item], path: Path, overwrite: bool = False) -> Path: ...


@dataclass(frozen=True)
class Sample:
    """One item as an exporter writes it."""

    index: int
    name: str
    """Unique in the export, and valid as a file name without ending."""
    record: Record


@contextmanager
def exporting(
    items: Iterable[Item],
    path: Path,
    exporter: str,
    overwrite: bool = False,
    one_shape: bool = False,
) -> Iterator[tuple[Path, Iterator[Sample]]]:
    """A fresh folder to fill, and the samples to write into it.

    ``cosynth.json`` and ``layouts.csv`` are written as the samples are taken. Raises ValueError if there
    are no items, or if samples differ in class table, µm/px or, with ``one_shape``, shape.
    """
    path = Path(path)
    with replaced_folder(path, overwrite) as folder:
        waiting = iter(items)
        first = next(waiting, None)
        if first is None:
            raise ValueError(f"{path}: nothing to save")
        with SidecarWriter(folder, path, exporter, one_shape) as sidecar:
            yield folder, (sidecar.add(item) for item in chain([first], waiting))


class SidecarWriter:
    """Writes ``cosynth.json`` and ``layouts.csv`` a sample at a time (``stack_format``)."""

    def __init__(self, folder: Path, path: Path, exporter: str, one_shape: bool) -> None:
        self._folder = folder
        self._path = path
        self._exporter = exporter
        self._one_shape = one_shape
        self._classes: ClassTable | None = None
        self._mpp = 0.0
        self._names: dict[str, str] = {}  # by lower case: some file systems ignore case
        self._shapes: list[tuple[int, int]] = []
        self._shape: tuple[int, ...] = ()
        self._layouts = (folder / LAYOUTS).open("w", encoding="utf-8", newline="")
        self._layouts.write("sample,index,axis-0,axis-1,class\n")
        self._samples = (folder / DESCRIPTION).open("w", encoding="utf-8")

    def __enter__(self) -> SidecarWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._layouts.close()
        with self._samples as handle:
            names, shapes = json.dumps(list(self._names.values())), json.dumps(self._shapes)
            handle.write(f'\n],\n"names": {names},\n"shapes": {shapes}}}\n')

    def begin(self, record: Record) -> None:
        """Writes the properties that all samples share, taken from the first record."""
        self._classes, self._mpp, self._shape = record.classes, record.mpp, record.labels.shape
        head = {
            "format": FORMAT,
            "exporter": self._exporter,
            "classes": list(record.classes.names),
            "colors": record.classes.colors.tolist(),
            "mpp": record.mpp,
        }
        self._samples.write(json.dumps(head, allow_nan=False)[:-1] + ',\n"samples": [')

    def add(self, item: Item) -> Sample:
        """Writes the entries of one item. Raises ValueError if it disagrees with the first."""
        record = item if isinstance(item, Record) else item.record
        self._check(record)
        names = record.classes.names
        points: list[Point] = [
            (float(y), float(x), names[c])
            for (y, x), c in zip(record.layout.centroids, record.layout.class_ids, strict=True)
        ]
        height, width = record.labels.shape
        wanted = item.name if isinstance(item, Described) else ""
        index = len(self._shapes)
        name = self.write(description_of(item), wanted, (height, width), points)
        return Sample(index, name, record)

    def write(
        self,
        description: dict[str, Any],
        wanted: str,
        shape: tuple[int, int],
        points: list[Point],
    ) -> str:
        """Writes the entries of one sample and returns its name: ``wanted``, made valid and unique."""
        index = len(self._shapes)
        name = re.sub(r"[^\w.-]+", "_", wanted).strip(".") or f"sample_{index:05d}"
        if name.lower() in self._names:
            name = f"{name}_{index:05d}"
        while name.lower() in self._names:  # an earlier sample may have that name already
            name += "_"
        self._names[name.lower()] = name
        self._samples.write(",\n" if index else "\n")
        self._samples.write(json.dumps(description, allow_nan=False))
        self._shapes.append(shape)
        for row, (y, x, label) in enumerate(points):
            quoted = '"' + label.replace('"', '""') + '"' if set(label) & set(',"\n\r') else label
            self._layouts.write(f"{index},{row},{y!r},{x!r},{quoted}\n")
        return name

    def _check(self, record: Record) -> None:
        if self._classes is None:
            self.begin(record)
            return
        pairs: list[tuple[str, object, object]] = [
            ("classes", record.classes.names, self._classes.names),
            ("mpp", record.mpp, self._mpp),
        ]
        if self._one_shape:
            pairs.append(("shape", record.labels.shape, self._shape))
        for what, found, wanted in pairs:
            if found != wanted:
                raise ValueError(
                    f"{self._path}: sample {len(self._shapes)}: {what} {found} is not sample 0's "
                    f"{wanted}"
                )


def description_of(item: Item) -> dict[str, Any]:
    """An item's entry in ``cosynth.json``."""
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


def write_png(path: Path, array: npt.NDArray[Any]) -> None:
    """Writes uint8 (H, W, 3) or (H, W), or uint16 (H, W), as PNG; makes the folder if missing."""
    import imageio.v3 as iio

    path.parent.mkdir(exist_ok=True)
    iio.imwrite(path, array)


def sixteen_bits(record: Record, where: str) -> npt.NDArray[np.uint16]:
    """The instance ids as uint16. Raises ValueError, beginning with ``where``, if they do not fit."""
    if (largest := int(record.instances.max(initial=0))) > 65535:
        raise ValueError(f"{where}: instances: expected ids up to 65535, got {largest}")
    return record.instances.astype(np.uint16)
