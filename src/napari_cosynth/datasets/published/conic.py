"""CoNIC (Graham et al. 2021, 2024): colon patches at 20x as two arrays (docs/formats/conic.md)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_cosynth.datasets.published.lizard import LIZARD_CLASSES
from napari_cosynth.foreign.instances import class_map, instance_ids
from napari_cosynth.io.text import encoding_of
from napari_cosynth.records.base import NamedRecords, Parts
from napari_cosynth.records.sidecar import read_sidecar
from napari_cosynth.slides.files import load_npy, select
from napari_cosynth.types import H_AND_E, ClassTable

NAMES = "patch_info"
"""The column of ``patch_info.csv`` that names the patches."""


class ConicDataset(NamedRecords):
    """``images.npy`` uint8 (N, H, W, 3) and ``labels.npy`` integer (N, H, W, 2), as published.

    The labels are instance ids, 0 background, and classes, 1 neutrophil .. 6 connective.
    ``counts.csv``, if there, must have a row for each patch; ``patch_info.csv``, if there, names the
    patches (``TILE-0012``). Both arrays are mapped into memory for one patch at a time.
    """

    def __init__(
        self,
        root: str | Path,
        mpp: float | None = None,
        tissue: str = "colon",
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        self.own = read_sidecar(self.root, "conic")
        self.mpp = mpp if mpp is not None else self.own.mpp if self.own else 0.5
        self.tissue = tissue
        self.classes = self.own.classes if self.own else ClassTable.of(*LIZARD_CLASSES)
        self._images, self._labels = self.root / "images.npy", self.root / "labels.npy"
        images = load_npy(self._images, mapped=True)
        labels = load_npy(self._labels, mapped=True)
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise ValueError(
                f"{self._images}: expected uint8 (N, H, W, 3), got {images.dtype} {images.shape}"
            )
        expected = (*images.shape[:3], 2)
        if labels.shape != expected or labels.dtype.kind not in "iuf":
            raise ValueError(
                f"{self._labels}: expected integers {expected}, got {labels.dtype} {labels.shape}"
            )
        count = len(images)
        counts = self.root / "counts.csv"
        if counts.is_file() and (found := len(_rows(counts)[1])) != count:
            raise ValueError(f"{counts}: expected {count} rows, one per patch, got {found}")
        self._told = (self.root / "patch_info.csv").is_file()
        names = [f"{i:05d}" for i in range(count)]
        if self._told:
            path = self.root / "patch_info.csv"
            names = _names(path)
            if len(names) != count or len(set(names)) != count:
                raise ValueError(f"{path}: expected {count} names, each once")
        self._numbers = {name: i for i, name in enumerate(names)}
        self.names = tuple(select(names, only, without, self.root))

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return (root / "images.npy").is_file() and (root / "labels.npy").is_file()

    def tissue_of(self, name: str) -> str:
        return self.own_text(name, "tissue", self.tissue)

    def slide_of(self, name: str) -> str | None:
        """The tile that a patch was cut from, by ``patch_info.csv``; None without that file."""
        if self.own is not None:
            return super().slide_of(name)
        return name.rpartition("-")[0] or name if self._told else None

    def parts(self, name: str) -> Parts:
        number = self._numbers[name]
        both = np.array(load_npy(self._labels, mapped=True)[number])
        instances, labels = both[..., 0], both[..., 1]
        where = f"{self._labels}: patch {number}"
        return Parts(
            np.array(load_npy(self._images, mapped=True)[number]),
            instance_ids(instances, where),
            class_map(labels, where, len(self.classes)),
            self.mpp,
            self.tissue_of(name),
            f"{self._images}: patch {number}",
            self.own_text(name, "stain", H_AND_E),
            labelled=where,
        )


def _names(path: Path) -> list[str]:
    """The column ``patch_info`` (pandas writes an index before it), or the only column."""
    header, rows = _rows(path)
    if NAMES not in header and len(header) > 1:
        raise ValueError(f"{path}: expected a column {NAMES!r}, got {', '.join(header)}")
    column = header.index(NAMES) if NAMES in header else 0
    if short := next((n for n, row in enumerate(rows, start=2) if len(row) <= column), None):
        raise ValueError(f"{path}: line {short}: no {NAMES!r}")
    return [row[column] for row in rows]


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header of a CSV file and its rows, without empty lines."""
    try:
        with path.open(newline="", encoding=encoding_of(path)) as handle:
            header, *rows = [row for row in csv.reader(handle) if row] or [[]]
    except (OSError, UnicodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as CSV ({error})") from None
    return [name.strip() for name in header], rows
