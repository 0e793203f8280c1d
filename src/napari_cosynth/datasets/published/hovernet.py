"""HoVer-Net's training patches, each a ``.npy`` file of image, instances and classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_cosynth.datasets.published.consep import CONSEP_CLASSES
from napari_cosynth.foreign.instances import class_map, instance_ids
from napari_cosynth.io.listing import by_name, files_in
from napari_cosynth.records.base import NamedRecords, Parts, patient_of
from napari_cosynth.records.sidecar import read_sidecar
from napari_cosynth.slides.files import from_0_to_255, load_npy, select
from napari_cosynth.types import H_AND_E, ClassTable

ASSUMED_MPP = 0.25


class HoverNetDataset(NamedRecords):
    """``NAME.npy``, integer (H, W, 5): red, green, blue, instance id, class; or (H, W, 4), no class.

    The files do not name the classes. Their names are ``class_names``, else CoNSeP's. Nuclei of patches
    without classes get one class, "unspecified".
    """

    def __init__(
        self,
        root: str | Path,
        mpp: float | None = None,
        tissue: str = "",
        class_names: Sequence[str] = (),
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        self.own = read_sidecar(self.root, "hovernet")
        self.mpp_stated = mpp is not None or self.own is not None
        self.mpp = mpp if mpp is not None else self.own.mpp if self.own else ASSUMED_MPP
        self.tissue = tissue
        self._paths = by_name(files_in(self.root, (".npy",)))
        first = load_npy(next(iter(self._paths.values())), mapped=True)
        self._typed = first.ndim == 3 and first.shape[2] == 5
        known = CONSEP_CLASSES if self._typed else ("unspecified",)
        self.classes = self.own.classes if self.own else ClassTable.of(*(class_names or known))
        self.names = tuple(select(self._paths, only, without, self.root))

    @classmethod
    def recognises(cls, root: Path) -> bool:
        try:
            path = files_in(root, (".npy",))[0]
        except ValueError:
            return False
        shape = load_npy(path, mapped=True).shape
        return len(shape) == 3 and shape[2] in (4, 5)

    def tissue_of(self, name: str) -> str:
        return self.own_text(name, "tissue", self.tissue)

    def slide_of(self, name: str) -> str | None:
        """The tile, from the name: HoVer-Net names its patches ``TILE_000.npy``."""
        if self.own is not None:
            return super().slide_of(name)
        return patient_of(re.sub(r"_\d{3,}$", "", name))

    def parts(self, name: str) -> Parts:
        path = self._paths[name]
        patch = load_npy(path)
        channels = 5 if self._typed else 4
        if patch.ndim != 3 or patch.shape[2] != channels or patch.dtype.kind not in "iuf":
            raise ValueError(
                f"{path}: expected integers (H, W, {channels}), got {patch.dtype} {patch.shape}"
            )
        image, ids = patch[..., :3], patch[..., 3]
        labels = patch[..., 4] if self._typed else (ids > 0).astype(np.uint8)
        return Parts(
            from_0_to_255(image, str(path)),
            instance_ids(ids, str(path)),
            class_map(labels, str(path), len(self.classes)),
            self.mpp,
            self.tissue_of(name),
            str(path),
            self.own_text(name, "stain", H_AND_E),
        )
