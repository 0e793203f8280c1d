"""CoNSeP and other folders in HoVer-Net's layout: ``Images/*.png`` with ``Labels/*.mat``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_cosynth.foreign.mat_labels import checked_classes, read_mat_labels
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

    ``Images/NAME.png`` is uint8 (H, W, 3). ``Labels/NAME.mat`` holds ``inst_map`` int (H, W), 0
    background, and classes: either ``inst_type`` (N, 1), in the order of ``inst_uid`` or else of the
    sorted ids, or ``type_map`` (H, W). CoNSeP's tiles are 1000x1000 at 0.25 µm/px.
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
        found = read_mat_labels(path)
        return Parts(
            read_rgb(self._images[name]),
            found.instances,
            checked_classes(path, found.classes, len(self.classes)),
            self.mpp,
            self.tissue_of(name),
            str(self._images[name]),
            self.own_text(name, "stain", H_AND_E),
            labelled=str(path),
        )
