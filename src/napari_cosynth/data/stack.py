"""The project's own training stacks, read back as records (layout in ``export/stack.py``)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from napari_cosynth.data.base import NamedRecords
from napari_cosynth.stack_format import DESCRIPTION, read_description
from napari_cosynth.types import ClassTable, Layout, Record

_ARRAYS: dict[str, tuple[type[np.generic], int]] = {
    "images": (np.uint8, 4),
    "labels": (np.uint8, 3),
    "instances": (np.int32, 3),
    "distances": (np.float32, 3),
}


class StackDataset(NamedRecords):
    """A stack folder; ``names`` are the sample numbers, for selecting a split.

    Raises ValueError naming file and sample where shapes, classes or ids disagree.
    """

    def __init__(
        self, root: str | Path, only: Sequence[str] = (), without: Sequence[str] = ()
    ) -> None:
        from napari_cosynth.data.files import select

        self.root = Path(root)
        if not self.root.is_dir():
            raise ValueError(f"{self.root}: no such folder")
        self.description = read_description(self.root / DESCRIPTION)
        self.classes = ClassTable(
            tuple(self.description["classes"]), np.array(self.description["colors"], np.uint8)
        )
        self.mpp = float(self.description["mpp"])
        self.samples: list[dict[str, Any]] = self.description["samples"]
        self._arrays = {name: self._open(name) for name in _ARRAYS}
        shape = self._arrays["labels"].shape
        if self._arrays["images"].shape != (*shape, 3):
            raise ValueError(
                f"{self.root / 'images.tif'}: expected {(*shape, 3)}, "
                f"got {self._arrays['images'].shape}"
            )
        self._layouts = self._read_layouts(self.root / "layouts.csv")
        chosen = select([str(i) for i in range(len(self.samples))], only, without, self.root)
        self.names = tuple(chosen)

    def _open(self, name: str) -> npt.NDArray[Any]:
        path = self.root / f"{name}.tif"
        dtype, dimensions = _ARRAYS[name]
        try:
            array = tifffile.imread(path)
        except Exception as error:  # decoders raise what they like on damaged files
            raise ValueError(f"{path}: cannot be read as a TIFF ({error})") from None
        if array.ndim == dimensions - 1 and len(self.samples) == 1:
            array = array[None]  # tifffile drops a single sample's axis
        if array.dtype != dtype or array.ndim != dimensions or len(array) != len(self.samples):
            raise ValueError(
                f"{path}: expected {np.dtype(dtype)} with {len(self.samples)} samples, "
                f"got {array.dtype} {array.shape}"
            )
        return array

    def _read_layouts(self, path: Path) -> list[list[tuple[float, float, int]]]:
        rows: list[list[tuple[float, float, int]]] = [[] for _ in self.samples]
        try:
            with path.open(newline="", encoding="utf-8") as handle:
                for line, row in enumerate(csv.DictReader(handle), start=2):
                    try:
                        target = rows[int(row["sample"])]
                        point = float(row["axis-0"]), float(row["axis-1"])
                        target.append((*point, self.classes.index(row["class"])))
                    except (KeyError, TypeError, IndexError, ValueError) as error:
                        raise ValueError(f"{path}: line {line}: {error}") from None
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{path}: cannot be read as CSV ({error})") from None
        return rows

    def tissue_of(self, name: str) -> str:
        return str(self.samples[int(name)].get("tissue", ""))

    def read(self, name: str) -> Record:
        number = int(name)
        where = f"{self.root}: sample {number}"
        labels, instances = self._arrays["labels"][number], self._arrays["instances"][number]
        if labels.max(initial=0) >= len(self.classes):
            raise ValueError(f"{where}: labels reach {labels.max()}, not below {len(self.classes)}")
        if not np.array_equal(labels > 0, instances > 0):
            raise ValueError(f"{where}: labels and instances disagree about the foreground")
        points = self._layouts[number]
        height, width = labels.shape
        try:
            layout = Layout(
                np.array([p[:2] for p in points], np.float32).reshape(-1, 2),
                np.array([p[2] for p in points], np.uint8),
                (height, width),
                self.mpp,
                self.classes,
            )
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        sample = self.samples[number]
        return Record(
            image=self._arrays["images"][number],
            instances=instances,
            labels=labels,
            distance=self._arrays["distances"][number],
            layout=layout,
            mpp=self.mpp,
            tissue=str(sample.get("tissue", "")),
            source=where,
            stain=str(sample.get("stain", "H&E")),
        )
