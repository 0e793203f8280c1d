"""Lizard (Graham et al. 2021): colon regions at 20x with ``.mat`` labels of six classes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.mat_labels import checked_classes, read_mat_labels
from napari_cosynth.io.listing import by_name, files_in, first_below, name_of, partners
from napari_cosynth.records.base import NamedRecords, Parts
from napari_cosynth.slides.files import mat_names, read_rgb, select
from napari_cosynth.types import ClassTable

logger = logging.getLogger(__name__)

LIZARD_CLASSES = ("neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective")


class LizardDataset(NamedRecords):
    """The published archives, unpacked anywhere below ``root`` (docs/formats/lizard.md).

    ``Lizard_Images1/NAME.png`` and ``Lizard_Images2/NAME.png`` are uint8 (H, W, 3), of various sizes.
    ``Lizard_Labels/Labels/NAME.mat`` holds ``inst_map`` int (H, W), 0 background, ``id`` (N, 1), the
    instance ids in no set order, and ``class`` (N, 1), 1..6 in the order of ``id``. ``bbox`` and
    ``centroid`` are not read, because both follow from ``inst_map``.
    """

    def __init__(
        self,
        root: str | Path,
        mpp: float = 0.5,
        tissue: str = "colon",
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        self.mpp = mpp
        self.tissue = tissue
        self.classes = ClassTable.of(*LIZARD_CLASSES)
        # The archives also hold drawn overlays under the same names.
        images = files_in(self.root, (".png",), below=True, without_folders=("overlay",))
        self._images = by_name(images)
        labels = files_in(self.root, (".mat",), below=True)
        self._labels = partners(self._images, labels)
        unlabelled = sorted(set(self._images) - set(self._labels))
        if unlabelled:
            raise ValueError(f"{self._images[unlabelled[0]]}: no {unlabelled[0]}.mat belongs to it")
        if missing := sorted({name_of(path) for path in labels} - set(self._labels)):
            logger.warning(
                "%s: %d of %d labels have no image (%s, ...)",
                self.root,
                len(missing),
                len(labels),
                missing[0],
            )
        self.names = tuple(select(self._images, only, without, self.root))

    @classmethod
    def recognises(cls, root: Path) -> bool:
        label = first_below(root, ".mat")
        return label is not None and {"inst_map", "id", "class"} <= mat_names(label)

    def tissue_of(self, name: str) -> str:
        return self.tissue

    def parts(self, name: str) -> Parts:
        path = self._labels[name]
        instances, labels = read_labels(path, len(self.classes))
        return Parts(
            read_rgb(self._images[name]),
            instances,
            labels,
            self.mpp,
            self.tissue,
            str(self._images[name]),
            labelled=str(path),
        )


def read_labels(path: Path, classes: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Instance ids and classes per pixel, (H, W), of a Lizard ``.mat`` file with ``classes`` classes.

    Background counts as a class. Raises ValueError naming file and field.
    """
    found = read_mat_labels(path)
    labels = checked_classes(path, found.classes, classes)
    return found.instances, labels
