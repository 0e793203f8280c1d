"""PanNuke (Gamper et al. 2020): folds of ``.npy`` arrays, or a file for each patch."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.instances import class_map, instance_ids
from napari_cosynth.io.listing import (
    files_in,
    first_below,
    images_in,
    named_below,
    partners,
    written_name,
)
from napari_cosynth.io.paths import named
from napari_cosynth.io.text import encoding_of
from napari_cosynth.records.base import NamedRecords, Parts
from napari_cosynth.records.sidecar import read_sidecar
from napari_cosynth.slides.files import from_0_to_255, load_npy, read_rgb, select
from napari_cosynth.types import H_AND_E, ClassTable

PANNUKE_CLASSES = ("neoplastic", "inflammatory", "connective", "dead", "epithelial")

Arrays = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32], npt.NDArray[np.uint8]]
"""Image (H, W, 3), instance ids (H, W), classes (H, W)."""


class _Source(Protocol):
    """Patches by name, in one of the two layouts on disk."""

    tissues: dict[str, str]

    def read(self, name: str) -> Arrays: ...

    def where(self, name: str) -> str: ...


class PanNukeDataset(NamedRecords):
    """PanNuke in either of its two layouts, recognised by the files (docs/formats/pannuke.md).

    Folds as published: ``images.npy`` (N, 256, 256, 3) 0..255, float64 or uint8; ``masks.npy``
    (N, 256, 256, 6), instance ids in five channels, one per class, and the background last;
    ``types.npy`` (N,), tissue names. Records are named ``fold1_00000`` and so on.

    Patches as files: ``images/NAME.png``; ``labels/NAME.npy``, integer (2, H, W), instance ids and
    classes 1..5; ``types.csv`` with ``image`` and ``tissue_type``.

    Our own exports may have other classes, a channel each; ``cosynth.json`` names them. A fold is mapped
    into memory for one patch at a time, so that no more of it stays in memory.
    """

    def __init__(
        self,
        root: str | Path,
        mpp: float | None = None,
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        self.own = read_sidecar(self.root, "pannuke")
        self.mpp = mpp if mpp is not None else self.own.mpp if self.own else 0.25
        self.classes = self.own.classes if self.own else ClassTable.of(*PANNUKE_CLASSES)
        if not self.root.is_dir():
            raise ValueError(f"{self.root}: no such folder")
        images = named_below(self.root, "images.npy")
        self._source: _Source = _Folds(images, len(self.classes)) if images else _Patches(self.root)
        if self.own is not None:  # records of our own exports are named as those of any fold
            self.own = dataclasses.replace(self.own, names=tuple(self._source.tissues))
        self.names = tuple(select(self._source.tissues, only, without, self.root))

    @classmethod
    def recognises(cls, root: Path) -> bool:
        images = named_below(root, "images.npy") if root.is_dir() else []
        folds = [p for p in images if _beside(p, "masks").is_file()]
        return bool(folds) or (
            (root / "types.csv").is_file() and first_below(root / "labels", ".npy") is not None
        )

    def tissue_of(self, name: str) -> str:
        return self._source.tissues[name]

    def slide_of(self, name: str) -> str | None:
        """The slide in our own exports, else None: PanNuke does not state which patches share one."""
        if self.own is None:
            return None
        return super().slide_of(name)

    def parts(self, name: str) -> Parts:
        image, instances, labels = self._source.read(name)
        return Parts(
            image,
            instances,
            labels,
            self.mpp,
            self._source.tissues[name],
            self._source.where(name),
            self.own_text(name, "stain", H_AND_E),
        )


class _Folds:
    """``images.npy``, ``masks.npy`` and ``types.npy`` of every fold, however they are nested."""

    def __init__(self, images: Sequence[Path], classes: int) -> None:
        self.tissues: dict[str, str] = {}
        self._classes = classes
        self._places: dict[str, tuple[Path, Path, int]] = {}
        for path in images:
            masks, types = _beside(path, "masks"), _beside(path, "types")
            shape = load_npy(path, mapped=True).shape
            if len(shape) != 4 or shape[3] != 3:
                raise ValueError(f"{path}: expected (N, H, W, 3), got {shape}")
            expected = (*shape[:3], classes)
            if load_npy(masks, mapped=True).shape != expected:
                raise ValueError(
                    f"{masks}: expected {expected}, got {load_npy(masks, mapped=True).shape}"
                )
            names = load_npy(types)
            if names.shape != shape[:1] or names.dtype.kind != "U":
                raise ValueError(
                    f"{types}: expected {shape[0]} tissue names, got {names.dtype} {names.shape}"
                )
            for index, tissue in enumerate(names):
                name = f"{named(path.parent).name}_{index:05d}"
                if name in self._places:
                    raise ValueError(
                        f"{path}: another fold is called {named(path.parent).name!r} too"
                    )
                self._places[name] = path, masks, index
                self.tissues[name] = tissue_name(str(tissue))

    def where(self, name: str) -> str:
        path, _, index = self._places[name]
        return f"{path}: patch {index}"

    def read(self, name: str) -> Arrays:
        path, masks, index = self._places[name]
        image = from_0_to_255(
            np.array(load_npy(path, mapped=True)[index]), f"{path}: patch {index}"
        )
        channels = np.array(load_npy(masks, mapped=True)[index])[..., : self._classes - 1]
        where = f"{masks}: patch {index}"
        ids = np.stack([instance_ids(plane, where) for plane in np.moveaxis(channels, -1, 0)], -1)
        instances = np.zeros(ids.shape[:2], np.int32)
        labels = np.zeros(ids.shape[:2], np.uint8)
        for channel in range(self._classes - 1):
            inside = ids[..., channel] > 0
            # Ids may repeat between channels, so each channel is numbered on from the last.
            _, position = np.unique(ids[..., channel][inside], return_inverse=True)
            instances[inside] = position + 1 + instances.max(initial=0)
            labels[inside] = channel + 1
        return image, instances, labels


class _Patches:
    """``images/``, ``labels/`` and ``types.csv``: one file per patch."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._images = images_in(root / "images")
        self._labels = partners(self._images, files_in(root / "labels", (".npy",)))
        if missing := sorted(set(self._images) - set(self._labels)):
            raise ValueError(f"{root / 'labels'}: no {missing[0]}.npy")
        self.tissues: dict[str, str] = {}
        path = root / "types.csv"
        try:
            with path.open(newline="", encoding=encoding_of(path)) as handle:
                rows = list(csv.DictReader(handle))
            listed = {written_name(row["image"]): row["tissue_type"] for row in rows}
        except KeyError as error:
            raise ValueError(f"{path}: no column {error}") from None
        except (OSError, UnicodeError, csv.Error, TypeError) as error:
            raise ValueError(f"{path}: cannot be read as CSV ({error})") from None
        for name in self._images:
            if not listed.get(name):
                raise ValueError(f"{path}: no tissue for {name!r}")
            self.tissues[name] = tissue_name(listed[name])

    def where(self, name: str) -> str:
        return str(self._images[name])

    def read(self, name: str) -> Arrays:
        path = self._labels[name]
        both = load_npy(path)
        if both.ndim != 3 or both.shape[0] != 2 or both.dtype.kind not in "iuf":
            raise ValueError(f"{path}: expected integers (2, H, W), got {both.dtype} {both.shape}")
        instances = instance_ids(both[0], str(path))
        labels = class_map(both[1], str(path), len(PANNUKE_CLASSES) + 1)
        return (
            read_rgb(self._images[name]),
            instances,
            labels,
        )


def tissue_name(name: str) -> str:
    """PanNuke's tissue name in a prompt's spelling: ``Adrenal_gland`` -> ``adrenal gland``."""
    plain = name.replace("_", " ").replace("-", " ").strip().lower()
    return {"headneck": "head and neck"}.get(plain, plain)


def _beside(images: Path, what: str) -> Path:
    """``masks.npy`` or ``types.npy`` of a fold: beside its images, or in the archive's folder for them.

    The archives hold ``Fold 1/images/fold1/images.npy`` with the types beside it and
    ``Fold 1/masks/fold1/masks.npy``.
    """
    near = images.with_name(f"{what}.npy")
    fold = named(images.parent)
    apart = named(fold.parent).parent / what / fold.name / f"{what}.npy"
    if near.is_file() or not apart.is_file():
        return near
    return apart
