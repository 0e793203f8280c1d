"""Folders of images and instance maps, with or without classes (MoNuSeg, TNBC, our PNG folders)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_cosynth.foreign import instance_classes
from napari_cosynth.foreign.instance_classes import labels_by, read_classes
from napari_cosynth.foreign.instances import class_map, instance_ids, read_label_image
from napari_cosynth.io.listing import IMAGE_SUFFIXES, files_in, images_in, partners
from napari_cosynth.records.base import NamedRecords, Parts
from napari_cosynth.records.sidecar import read_sidecar
from napari_cosynth.slides.files import read_rgb, read_tissues, select
from napari_cosynth.types import H_AND_E, ClassTable

ASSUMED_MPP = 0.25


class FolderDataset(NamedRecords):
    """``images/NAME.*`` uint8 RGB with ``instances/NAME.*``, integer (H, W), 0 background.

    ``labels/NAME.*``, uint8 (H, W), holds class ids from 1, in the order of ``class_names`` or of
    ``cosynth.json``. Without the folder ``labels``, ``classes/NAME.csv`` holds a line for each instance,
    its id and its class. Without either folder all nuclei get one class, ``class_name``. ``tissues``
    names a JSON file in the folder that maps image stems to organs; without it every record has the
    tissue ``tissue``.
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
        self._instances = self._maps("instances", IMAGE_SUFFIXES)
        self._labels = self._maps("labels", IMAGE_SUFFIXES)
        self._tables = {} if self._labels else self._maps("classes", (".csv",))
        if self._tables and not (class_names or self.own):
            found = instance_classes.class_names(map(read_classes, self._tables.values()))
            self.classes = ClassTable.of(*(found or (class_name,)))
        if self._labels and not (class_names or self.own):
            raise ValueError(f"{self.root / 'labels'}: name the classes of its ids: class_names")
        self.names = tuple(select(self._images, only, without, self.root))
        self._tissues = dict.fromkeys(self.names, tissue)
        if tissues is not None:
            self._tissues = read_tissues(self.root / tissues, self.names)

    def _maps(self, folder: str, suffixes: Sequence[str]) -> dict[str, Path]:
        """The file in a folder for each image, by image name; empty if the folder is missing.

        Raises ValueError if a file is missing, or the folder ``instances``.
        """
        if folder != "instances" and not (self.root / folder).is_dir():
            return {}
        found = partners(self._images, files_in(self.root / folder, suffixes))
        if missing := sorted(set(self._images) - set(found)):
            kind = "table" if ".csv" in suffixes else "map"
            raise ValueError(f"{self.root / folder}: no {kind} for {missing[0]!r}")
        return found

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return (root / "images").is_dir() and (root / "instances").is_dir()

    def tissue_of(self, name: str) -> str:
        return self.own_text(name, "tissue", self._tissues[name])

    def parts(self, name: str) -> Parts:
        path = self._instances[name]
        stored = read_label_image(path)
        ids = instance_ids(stored, str(path))
        labels = (ids > 0).astype(np.uint8)
        if self._tables:
            table = self._tables[name]
            labels = labels_by(read_classes(table), self.classes.names[1:], stored, str(table))
        if self._labels:
            path = self._labels[name]
            labels = class_map(read_label_image(path), str(path), len(self.classes))
            if labels.shape != ids.shape:
                raise ValueError(f"{path}: expected {ids.shape} as the ids, got {labels.shape}")
        return Parts(
            read_rgb(self._images[name]),
            ids,
            labels,
            self.mpp,
            self.tissue_of(name),
            str(self._images[name]),
            self.own_text(name, "stain", H_AND_E),
            labelled=str(path),
        )
