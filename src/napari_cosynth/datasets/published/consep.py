"""CoNSeP and other HoVer-Net style folders: ``Images/*.png`` with ``Labels/*.mat``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_cosynth.foreign.files import read_mat
from napari_cosynth.foreign.instances import instance_ids, whole_numbers
from napari_cosynth.foreign.mat_classes import class_per_pixel
from napari_cosynth.io.listing import files_in, first_below, images_in, partners
from napari_cosynth.records.base import NamedRecords, Parts
from napari_cosynth.records.sidecar import read_sidecar
from napari_cosynth.slides.files import mat_names, read_rgb, select
from napari_cosynth.types import H_AND_E, ClassTable

CONSEP_CLASSES = (
    "other",
    "inflammatory",
    "healthy epithelial",
    "malignant epithelial",
    "fibroblast",
    "muscle",
    "endothelial",
)


class ConsepDataset(NamedRecords):
    """HoVer-Net's layout (Graham et al. 2019).

    ``Images/NAME.png`` uint8 (H, W, 3); ``Labels/NAME.mat`` with ``inst_map`` int (H, W), 0 background,
    and ``inst_type`` (N, 1), the class of each instance by ``inst_uid``, where there is one, else in the
    order of the sorted ids, or ``type_map`` (H, W). CoNSeP's tiles are 1000x1000 at 0.25 µm/px.
    """

    def __init__(
        self,
        root: str | Path,
        mpp: float | None = None,
        tissue: str = "colon",
        class_names: Sequence[str] = CONSEP_CLASSES,
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        self.own = read_sidecar(self.root, "consep")
        self.mpp = mpp if mpp is not None else self.own.mpp if self.own else 0.25
        self.tissue = tissue
        self.classes = self.own.classes if self.own else ClassTable.of(*class_names)
        self._images = images_in(self.root / "Images")
        self._labels = partners(self._images, files_in(self.root / "Labels", (".mat",)))
        if missing := sorted(set(self._images) - set(self._labels)):
            raise ValueError(f"{self.root / 'Labels'}: no {missing[0]}.mat")
        self.names = tuple(select(self._images, only, without, self.root))

    @classmethod
    def recognises(cls, root: Path) -> bool:
        if not (root / "Images").is_dir():
            return False
        label = first_below(root / "Labels", ".mat")
        names = mat_names(label) if label else set()
        return "inst_map" in names and bool(names & {"inst_type", "type_map"})

    def tissue_of(self, name: str) -> str:
        return self.own_text(name, "tissue", self.tissue)

    def parts(self, name: str) -> Parts:
        path = self._labels[name]
        content = read_mat(path)
        if "inst_map" not in content:
            raise ValueError(f"{path}: expected 'inst_map', got {sorted(content)}")
        stored = whole_numbers(content["inst_map"], f"{path}: inst_map")
        labels = class_per_pixel(path, content, stored)
        if labels is None and "type_map" in content:
            where = f"{path}: type_map"
            labels = whole_numbers(content["type_map"], where).astype(np.int64)
        if labels is None:
            raise ValueError(f"{path}: expected 'inst_type' or 'type_map', got {sorted(content)}")
        if labels.min(initial=0) < 0 or labels.max(initial=0) >= len(self.classes):
            raise ValueError(
                f"{path}: classes: expected 0..{len(self.classes) - 1}, got up to {labels.max()}"
            )
        return Parts(
            read_rgb(self._images[name]),
            instance_ids(stored, f"{path}: inst_map"),
            labels.astype(np.uint8),
            self.mpp,
            self.tissue_of(name),
            str(self._images[name]),
            self.own_text(name, "stain", H_AND_E),
            labelled=str(path),
        )
