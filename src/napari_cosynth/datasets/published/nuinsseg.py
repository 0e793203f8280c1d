"""NuInsSeg (Mahbod et al. 2024): a folder per organ with images and label masks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_cosynth.foreign.instances import instance_ids, read_label_image
from napari_cosynth.io.listing import (
    IMAGE_SUFFIXES,
    composed,
    files_in,
    images_in,
    named_below,
    partners,
)
from napari_cosynth.records.base import NamedRecords, Parts
from napari_cosynth.slides.files import read_rgb, select
from napari_cosynth.types import ClassTable

IMAGES, MASKS = "tissue images", "label masks"
ASSUMED_MPP = 0.25


class NuInsSegDataset(NamedRecords):
    """The archive unpacked below ``root`` (docs/formats/nuinsseg.md).

    ``ORGAN/tissue images/NAME.png`` is uint8 (512, 512, 3); ``ORGAN/label masks/NAME.tif`` holds instance
    ids (512, 512), 0 background. Nuclei have no classes; all get ``class_name``. An organ's folder, such
    as ``human bladder``, gives the tissue, "bladder"; records are named ``human bladder/NAME``.
    """

    def __init__(
        self,
        root: str | Path,
        mpp: float | None = None,
        class_name: str = "unspecified",
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        self.mpp_stated = mpp is not None
        self.mpp = mpp if mpp is not None else ASSUMED_MPP
        self.classes = ClassTable.of(class_name)
        organs = _organs(self.root)
        if not organs:
            raise ValueError(f"{self.root}: no folder in it or below has {IMAGES!r} and {MASKS!r}")
        self._files: dict[str, tuple[Path, Path]] = {}
        for organ in organs:
            images = images_in(organ / IMAGES)
            masks = partners(images, files_in(organ / MASKS, IMAGE_SUFFIXES))
            for stem, image in images.items():
                if stem not in masks:
                    raise ValueError(f"{organ / MASKS}: no label mask for {stem!r}")
                name = f"{composed(organ.name)}/{stem}"
                if name in self._files:
                    raise ValueError(f"{image}: another folder is called {organ.name!r} too")
                self._files[name] = image, masks[stem]
        self.names = tuple(select(self._files, only, without, self.root))

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(_organs(root))

    def tissue_of(self, name: str) -> str:
        organ = name.partition("/")[0]
        return re.sub(r"^(human|mouse) ", "", organ.replace("_", " ").lower())

    def slide_of(self, name: str) -> str | None:
        """The organ's folder, because nothing states which of its images share a slide."""
        return name.partition("/")[0]

    def parts(self, name: str) -> Parts:
        image, path = self._files[name]
        instances = instance_ids(read_label_image(path), str(path))
        return Parts(
            read_rgb(image),
            instances,
            (instances > 0).astype(np.uint8),
            self.mpp,
            self.tissue_of(name),
            str(image),
        )


def _organs(root: Path) -> list[Path]:
    """The folders in or below a folder that hold images and label masks."""
    found = named_below(root, MASKS) if root.is_dir() else []
    return [path.parent for path in found if (path.parent / IMAGES).is_dir()]
