"""Folders of images and instance maps without classes (MoNuSeg, TNBC)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_cosynth.data.base import NamedRecords, Parts
from napari_cosynth.data.files import images_in, read_image, read_rgb, select
from napari_cosynth.types import ClassTable


class FolderDataset(NamedRecords):
    """``images/NAME.*`` uint8 RGB with ``instances/NAME.*``, integer (H, W), 0 background.

    All nuclei get one class, ``class_name``. ``tissues`` names a JSON file in the folder that maps
    image stems to organs; without it every record has the tissue ``tissue``.
    """

    def __init__(
        self,
        root: str | Path,
        mpp: float = 0.25,
        tissue: str = "",
        tissues: str | None = None,
        class_name: str = "unspecified",
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        self.mpp = mpp
        self.classes = ClassTable.of(class_name)
        self._images = images_in(self.root / "images")
        self._instances = images_in(self.root / "instances")
        missing = sorted(set(self._images) - set(self._instances))
        if missing:
            raise ValueError(f"{self.root / 'instances'}: no instance map for {missing[0]!r}")
        self.names = tuple(select(self._images, only, without, self.root))
        self._tissues = dict.fromkeys(self.names, tissue)
        if tissues is not None:
            path = self.root / tissues
            try:
                organs = json.loads(path.read_text())
            except (OSError, ValueError) as error:
                raise ValueError(f"{path}: cannot be read as JSON ({error})") from error
            for name in self.names:
                if not isinstance(organs, dict) or not isinstance(organs.get(name), str):
                    raise ValueError(f"{path}: no tissue for {name!r}")
                self._tissues[name] = organs[name]

    def tissue_of(self, name: str) -> str:
        return self._tissues[name]

    def parts(self, name: str) -> Parts:
        path = self._instances[name]
        instances = read_image(path)
        if instances.ndim != 2 or not np.issubdtype(instances.dtype, np.integer):
            raise ValueError(
                f"{path}: expected integer ids (H, W), got {instances.dtype} {instances.shape}"
            )
        ids = instances.astype(np.int32)
        return Parts(
            read_rgb(self._images[name]),
            ids,
            (ids > 0).astype(np.uint8),
            self.mpp,
            self._tissues[name],
            str(self._images[name]),
        )
