"""Folders of images and instance maps, with classes or without (MoNuSeg, TNBC, our PNG folders)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_cosynth.data.base import NamedRecords, Parts
from napari_cosynth.data.files import read_image, read_rgb, read_tissues, select
from napari_cosynth.data.listing import IMAGE_SUFFIXES, files_in, images_in, partners
from napari_cosynth.data.sidecar import read_sidecar
from napari_cosynth.types import H_AND_E, ClassTable

ASSUMED_MPP = 0.25


class FolderDataset(NamedRecords):
    """``images/NAME.*`` uint8 RGB with ``instances/NAME.*``, integer (H, W), 0 background.

    ``labels/NAME.*``, uint8 (H, W), holds classes where there is such a folder: ids of ``class_names``
    from 1, or of those that ``cosynth.json`` names. Without it all nuclei get one class,
    ``class_name``. ``tissues`` names a JSON file in the folder that maps image stems to organs; without
    it every record has the tissue ``tissue``.
    """

    def __init__(
        self,
        root: str | Path,
        mpp: float | None = None,
        tissue: str = "",
        tissues: str | None = None,
        class_name: str = "unspecified",
        class_names: Sequence[str] = (),
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        self.own = read_sidecar(self.root, "folder")
        self.mpp_stated = mpp is not None or self.own is not None
        self.mpp = mpp if mpp is not None else self.own.mpp if self.own else ASSUMED_MPP
        self.classes = (
            self.own.classes if self.own else ClassTable.of(*(class_names or (class_name,)))
        )
        self._images = images_in(self.root / "images")
        self._instances = self._maps("instances")
        self._labels = self._maps("labels") if (self.root / "labels").is_dir() else {}
        if self._labels and not (class_names or self.own):
            raise ValueError(f"{self.root / 'labels'}: name the classes of its ids: class_names")
        self.names = tuple(select(self._images, only, without, self.root))
        self._tissues = dict.fromkeys(self.names, tissue)
        if tissues is not None:
            self._tissues = read_tissues(self.root / tissues, self.names)

    def _maps(self, folder: str) -> dict[str, Path]:
        found = partners(self._images, files_in(self.root / folder, IMAGE_SUFFIXES))
        if missing := sorted(set(self._images) - set(found)):
            raise ValueError(f"{self.root / folder}: no map for {missing[0]!r}")
        return found

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return (root / "images").is_dir() and (root / "instances").is_dir()

    def tissue_of(self, name: str) -> str:
        return self.own_text(name, "tissue", self._tissues[name])

    def parts(self, name: str) -> Parts:
        path = self._instances[name]
        instances = read_image(path)
        if instances.ndim != 2 or not np.issubdtype(instances.dtype, np.integer):
            raise ValueError(
                f"{path}: expected integer ids (H, W), got {instances.dtype} {instances.shape}"
            )
        ids = instances.astype(np.int32)
        labels = (ids > 0).astype(np.uint8)
        if self._labels:
            path = self._labels[name]
            classes = read_image(path)
            if classes.shape != ids.shape or classes.dtype != np.uint8:
                raise ValueError(
                    f"{path}: expected uint8 {ids.shape}, got {classes.dtype} {classes.shape}"
                )
            if classes.max(initial=0) >= len(self.classes):
                raise ValueError(
                    f"{path}: expected classes 0..{len(self.classes) - 1}, got {classes.max()}"
                )
            labels = classes.astype(np.uint8)
        return Parts(
            read_rgb(self._images[name]),
            ids,
            labels,
            self.mpp,
            self.tissue_of(name),
            str(self._images[name]),
            self.own_text(name, "stain", H_AND_E),
        )
