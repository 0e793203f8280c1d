"""The project's own training stacks, read back as records (layout in ``export/stack.py``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_cosynth.data.base import NamedRecords
from napari_cosynth.data.files import select
from napari_cosynth.stack_format import DESCRIPTION, LAYOUTS, Pages, read_description, read_points
from napari_cosynth.types import ClassTable, Layout, Record

_ARRAYS: dict[str, tuple[type[np.generic], int]] = {
    "images": (np.uint8, 4),
    "labels": (np.uint8, 3),
    "instances": (np.int32, 3),
    "distances": (np.float32, 3),
}


class StackDataset(NamedRecords):
    """A stack folder, read a sample at a time; ``names`` are the sample numbers, to select by.

    Raises ValueError naming file and sample where shapes, classes or ids disagree.
    """

    def __init__(
        self, root: str | Path, only: Sequence[str] = (), without: Sequence[str] = ()
    ) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise ValueError(f"{self.root}: no such folder")
        self.description = read_description(self.root / DESCRIPTION)
        self.classes = ClassTable(
            tuple(self.description["classes"]), np.array(self.description["colors"], np.uint8)
        )
        self.mpp = float(self.description["mpp"])
        self.samples: list[dict[str, Any]] = self.description["samples"]
        self._arrays = {
            name: Pages(self.root / f"{name}.tif", len(self.samples), *kind)
            for name, kind in _ARRAYS.items()
        }
        shape = self._arrays["labels"].shape
        for pages in self._arrays.values():
            if pages.shape[:3] != shape:
                raise ValueError(f"{pages.path}: expected {shape} as the labels, got {pages.shape}")
        self._points = read_points(self.root / LAYOUTS, len(self.samples), self.classes.names)
        chosen = select([str(i) for i in range(len(self.samples))], only, without, self.root)
        self.names = tuple(chosen)

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
        points = self._points[number]
        height, width = labels.shape
        try:
            layout = Layout(
                np.array([p[:2] for p in points], np.float32).reshape(-1, 2),
                np.array([self.classes.index(p[2]) for p in points], np.uint8),
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
