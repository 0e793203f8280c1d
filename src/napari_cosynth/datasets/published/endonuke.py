"""EndoNuke (Naumov et al. 2022): IHC tiles of endometrium with keypoints and coarse masks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi
from skimage.segmentation import watershed

from napari_cosynth.datasets.published.endonuke_masks import (
    MASKS,
    instances_of_masks,
    mask_files,
    read_masks,
)
from napari_cosynth.foreign.instances import foreground, read_label_image
from napari_cosynth.io.errors import shown
from napari_cosynth.io.listing import (
    files_in,
    first_below,
    images_in,
    name_of,
    partners,
)
from napari_cosynth.io.text import encoding_of
from napari_cosynth.records.base import NamedRecords, Parts
from napari_cosynth.slides.files import read_rgb, select
from napari_cosynth.types import ClassTable

logger = logging.getLogger(__name__)

ENDONUKE_CLASSES = ("stroma", "epithelium", "other")
"""Classes in the order of the files' 0, 1, 2."""
EXTENT = 100.0
"""Side of every tile in µm, whatever its number of pixels."""


class EndoNukeDataset(NamedRecords):
    """The published folder with masks beside it (docs/formats/endonuke.md).

    ``images/NAME.png`` is uint8 (H, W, 3), square, of 100 µm a side: 200, 400 or, rescaled, 256 pixels.
    ``labels/.../NAME.txt`` has lines ``x y class`` in pixels, class 0 stroma, 1 epithelium, 2 other. If
    several annotators labelled a tile, a pathologist's file (``ptg1``, ...) is taken first.

    Masks are the authors' (``endonuke_masks``), one for each keypoint, or ``masks/NAME.png`` (or TIFF),
    integer (H, W), above 0 where there is a nucleus of any class. A watershed from the keypoints then
    divides such a coarse mask into instances. A nucleus has the class of its keypoint. ``root`` is the
    archive's ``dataset`` folder or the folder above it; ``masks`` names the folder of masks if there are
    several.
    """

    def __init__(
        self,
        root: str | Path,
        tissue: str = "endometrium",
        stain: str = "IHC",
        masks: str = "",
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.root = _dataset(Path(root))
        self.tissue = tissue
        self.stain = stain
        self.classes = ClassTable.of(*ENDONUKE_CLASSES)
        self._images = images_in(self.root / "images")
        annotations = _annotations(self.root / "labels")
        self._labels = partners(self._images, annotations)
        used = {name: self._labels[name] for name in self._images if name in self._labels}
        self._masks = partners(self._images, mask_files(self.root, masks, used.values()))
        for name in used:
            if name not in self._masks:
                raise ValueError(f"{self.root / 'masks'}: no mask for {name!r}; {MASKS}")
        labelled = [name for name in self._images if name in self._labels]
        if len(labelled) < len(self._images):
            bare = sorted(set(self._images) - set(labelled))
            logger.warning(
                "%s: %d of %d images have no keypoints and are left out (%s, ...)",
                self.root,
                len(bare),
                len(self._images),
                bare[0],
            )
        self.names = tuple(select(labelled, only, without, self.root))

    @classmethod
    def recognises(cls, root: Path) -> bool:
        root = _dataset(root)
        labels = root / "labels"
        masks = (root / "masks", root.parent / "masks")
        return (
            (root / "images").is_dir()
            and (any(p.is_dir() for p in masks) or first_below(labels, ".npz") is not None)
            and first_below(labels, ".txt") is not None
        )

    def tissue_of(self, name: str) -> str:
        return self.tissue

    def parts(self, name: str) -> Parts:
        image = read_rgb(self._images[name])
        height, width = image.shape[:2]
        if height != width:
            raise ValueError(
                f"{self._images[name]}: expected a square tile, got {height} x {width}"
            )
        keypoints, types = read_keypoints(self._labels[name], (height, width))
        if self._masks[name].suffix.lower() == ".npz":
            masks = read_masks(self._masks[name], (height, width), types)
            instances, unused = instances_of_masks(masks, keypoints)
        else:
            mask = self._coarse(name, (height, width))
            instances, unused = instances_from_keypoints(mask, keypoints)
        if unused:
            logger.info("%s: %d keypoints without a mask", self._labels[name], len(unused))
        table = np.concatenate([np.zeros(1, np.uint8), types + 1]).astype(np.uint8)
        return Parts(
            image,
            instances,
            table[instances],
            EXTENT / width,
            self.tissue,
            str(self._images[name]),
            self.stain,
        )

    def _coarse(self, name: str, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
        path = self._masks[name]
        mask = foreground(read_label_image(path), str(path))
        if mask.shape != shape:
            raise ValueError(f"{path}: expected a mask {shape} as the image, got {mask.shape}")
        return mask


def _dataset(root: Path) -> Path:
    """The archive's folder ``dataset``, if its parent was given; else the given folder."""
    inner = root / "dataset"
    return inner if not (root / "images").is_dir() and (inner / "images").is_dir() else root


def _annotations(folder: Path) -> list[Path]:
    """One keypoint file per tile.

    If there are several, it is a pathologist's (``ptg``), then the first by the annotator's folder and
    path. The folder ``anyone`` belongs to no particular annotator.
    """
    found = files_in(folder, (".txt",), below=True)
    chosen: dict[str, Path] = {}
    for path in sorted(found, key=lambda p: (p.parent.name[:3] != "ptg", p.parent.name, str(p))):
        chosen.setdefault(name_of(path), path)
    return [*chosen.values()]


def read_keypoints(
    path: Path, shape: tuple[int, int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Keypoints (N, 2) as (y, x) in pixels and their classes (N,), 0..2, of a text file.

    Lines are ``x y class``, separated by blanks. Rounding leaves some points on the far border; they
    move to the last pixel. Raises ValueError naming file and line.
    """
    try:
        lines = path.read_text(encoding=encoding_of(path)).splitlines()
    except (OSError, UnicodeError) as error:
        raise ValueError(f"{path}: cannot be read as text ({error})") from None
    points, types = [], []
    height, width = shape
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            x, y, kind = (float(word) for word in line.split())
        except ValueError:
            raise ValueError(
                f"{path}: line {number}: expected 'x y class', got {shown(line)}"
            ) from None
        if kind not in range(len(ENDONUKE_CLASSES)):
            raise ValueError(f"{path}: line {number}: expected class 0, 1 or 2, got {kind:g}")
        if not (-0.5 <= x <= width and -0.5 <= y <= height):
            raise ValueError(
                f"{path}: line {number}: ({x:g}, {y:g}) lies outside the tile of {width} x {height}"
            )
        points.append((min(y, height - 1), min(x, width - 1)))
        types.append(int(kind))
    return np.array(points, np.float64).reshape(-1, 2), np.array(types, np.int64)


def instances_from_keypoints(
    mask: npt.NDArray[np.bool_], keypoints: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int32], list[int]]:
    """Instances int32 (H, W) by watershed of a mask, and the keypoints' rows that got no pixel.

    Ids are row + 1 of ``keypoints`` (N, 2), (y, x). The elevation is the depth within the mask, so that
    borders run along its necks. Parts of the mask that no keypoint reaches become background, because
    their class is unknown. Of two keypoints on one pixel the first counts.
    """
    pixels = np.floor(keypoints + 0.5).astype(int)
    markers = np.zeros(mask.shape, np.int32)
    for row in reversed(range(len(pixels))):
        y, x = pixels[row]
        markers[y, x] = row + 1
    markers[~mask] = 0
    depth = ndi.distance_transform_edt(mask)
    instances = np.asarray(watershed(-depth, markers, mask=mask), np.int32)
    present = set(np.unique(instances).tolist())
    return instances, [row for row in range(len(pixels)) if row + 1 not in present]
