"""Our own training stacks as records (file layout: ``export/stack.py``)."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.io.stack_format import DESCRIPTION, LAYOUTS, Pages, points_of
from napari_cosynth.records.base import NamedRecords, Parts
from napari_cosynth.records.sidecar import Sidecar, read_sidecar
from napari_cosynth.slides.files import eight_bits, select
from napari_cosynth.types import H_AND_E, Layout, Record

_ARRAYS: dict[str, tuple[type[np.generic], int]] = {
    "images": (np.uint8, 4),
    "labels": (np.uint8, 3),
    "instances": (np.int32, 3),
    "distances": (np.float32, 3),
}


class StackDataset(NamedRecords):
    """A stack folder, read a sample at a time; records are named by their sample number.

    Images that another program has written with 16 bits are scaled to 8 (``slides.files.eight_bits``).
    Raises ValueError naming file and sample if shapes, classes or ids disagree.
    """

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return (
            all((root / f"{name}.tif").is_file() for name in _ARRAYS)
            and (root / DESCRIPTION).is_file()
        )

    def __init__(
        self, root: str | Path, only: Sequence[str] = (), without: Sequence[str] = ()
    ) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise ValueError(f"{self.root}: no such folder")
        own = read_sidecar(self.root, "stack")
        if own is None:
            raise ValueError(f"{self.root}: is no training stack ({DESCRIPTION} does not say so)")
        # Samples are selected by number, whatever names they have.
        self.own: Sidecar = dataclasses.replace(own, names=tuple(map(str, range(len(own.samples)))))
        self.classes, self.mpp, self.samples = own.classes, own.mpp, list(own.samples)
        self._arrays = {
            name: Pages(self.root / f"{name}.tif", len(self.samples), *kind, wide=name == "images")
            for name, kind in _ARRAYS.items()
        }
        shape = self._arrays["labels"].shape
        for pages in self._arrays.values():
            if pages.shape[:3] != shape:
                raise ValueError(f"{pages.path}: expected {shape} as the labels, got {pages.shape}")
        self._points = self._read_points(self.root / LAYOUTS)
        chosen = select([str(i) for i in range(len(self.samples))], only, without, self.root)
        self.names = tuple(chosen)

    def _read_points(self, path: Path) -> tuple[npt.NDArray[Any], ...]:
        """Sample, (y, x) and class of every point, in the samples' order; compact, 13 bytes a point."""
        samples, centroids, class_ids = array("i"), array("f"), bytearray()
        ids = {name: index for index, name in enumerate(self.classes.names)}
        for sample, (y, x, name) in points_of(path, len(self.samples), self.classes.names):
            samples.append(sample)
            centroids.extend((y, x))
            class_ids.append(ids[name])
        order = np.argsort(np.array(samples), kind="stable")
        points = np.array(centroids, np.float32).reshape(-1, 2)
        return np.array(samples)[order], points[order], np.frombuffer(class_ids, np.uint8)[order]

    def tissue_of(self, name: str) -> str:
        return str(self.samples[int(name)].get("tissue", ""))

    def parts(self, name: str) -> Parts:
        number = int(name)
        sample = self.samples[number]
        return Parts(
            image=eight_bits(
                self._arrays["images"][number], f"{self.root}: sample {number}", self.root
            ),
            instances=self._arrays["instances"][number],
            labels=self._arrays["labels"][number],
            mpp=self.mpp,
            tissue=self.tissue_of(name),
            source=f"{self.root}: sample {number}",
            stain=str(sample.get("stain", H_AND_E)),
        )

    def layout(self, name: str) -> Layout:
        """The points of a sample. Raises ValueError if they do not lie on the canvas."""
        height, width = self._arrays["labels"].shape[1:]
        samples, centroids, class_ids = self._points
        rows = slice(*np.searchsorted(samples, [int(name), int(name) + 1]))
        try:
            return Layout(
                centroids[rows],
                class_ids[rows],
                (height, width),
                self.mpp,
                self.classes,
            )
        except ValueError as error:
            raise ValueError(f"{self.root}: sample {name}: {error}") from None

    def made(self, name: str, parts: Parts) -> Record:
        labels, instances = parts.labels, parts.instances.astype(np.int32)
        if labels.max(initial=0) >= len(self.classes):
            raise ValueError(
                f"{parts.source}: labels reach {labels.max()}, not below {len(self.classes)}"
            )
        if not np.array_equal(labels > 0, instances > 0):
            raise ValueError(f"{parts.source}: labels and instances disagree about the foreground")
        return Record(
            image=parts.image,
            instances=instances,
            labels=labels,
            distance=self._arrays["distances"][int(name)],
            layout=self.layout(name),
            mpp=self.mpp,
            tissue=parts.tissue,
            source=parts.source,
            stain=parts.stain,
        )
