"""Makes small data sets in exactly the layouts that Lizard, PanNuke and EndoNuke are published in.

Round nuclei on a tissue-coloured ground: a nucleus of class c has red value 40 + 20 c, so that a test
can read the class off the image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.io import savemat
from skimage.io import imsave

LIZARD = ("consep_1", "glas_1", "crag_2", "dpath_3", "consep_10", "glas_7", "crag_9", "dpath_8")
GROUND = (215, 160, 205)


def paint(
    side: int, classes: int, rng: np.random.Generator, pitch: int = 24
) -> tuple[
    npt.NDArray[np.uint8], npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]
]:
    """Image, instance ids 1..N, their classes (N,) from 1 and their centres (N, 2) as (y, x)."""
    y, x = np.indices((side, side))
    corners = np.argwhere(rng.random((side // pitch, side // pitch)) < 0.7) * pitch
    centres = corners + pitch // 2 + rng.integers(-2, 3, corners.shape)
    types = rng.integers(1, classes + 1, len(centres))
    instances = np.zeros((side, side), np.int32)
    image = np.empty((side, side, 3), np.int64)
    image[:] = GROUND
    for i, ((cy, cx), kind) in enumerate(zip(centres, types, strict=True), start=1):
        inside = (y - cy) ** 2 + (x - cx) ** 2 <= rng.integers(4, 8) ** 2
        instances[inside] = i
        image[inside] = (40 + 20 * kind, 60, 130)
    return image.astype(np.uint8), instances, types, centres


def save_image(path: Path, image: npt.NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    imsave(path, image, check_contrast=False)


def make_lizard(root: Path, tiles: int, side: int, seed: int = 0) -> None:
    """The three archives unpacked side by side; ``id`` in shuffled order."""
    rng = np.random.default_rng(seed)
    labels = root / "Lizard_Labels" / "Labels"
    labels.mkdir(parents=True)
    listing = ["Filename,Source,Split"]
    for i, name in enumerate(LIZARD[:tiles]):
        image, instances, types, centres = paint(side, 6, rng)
        part = f"Lizard_Images{1 + i % 2}"
        save_image(root / part / part / f"{name}.png", image)
        order = rng.permutation(len(types))
        boxes = [
            [*np.flatnonzero(rows.any(1))[[0, -1]], *np.flatnonzero(rows.any(0))[[0, -1]]]
            for rows in (instances == k + 1 for k in order)
        ]
        content = {
            "inst_map": instances,
            "id": (order + 1)[:, None].astype(np.int32),
            "class": types[order][:, None].astype(np.uint8),
            "bbox": np.array(boxes, np.int32).reshape(-1, 4),
            "centroid": centres[order][:, ::-1].astype(float),
        }
        savemat(labels / f"{name}.mat", content)
        listing.append(f"{name},{name.split('_')[0]},{1 + i % 3}")
    (root / "Lizard_Labels" / "info.csv").write_text("\n".join(listing) + "\n")


PANNUKE_TISSUES = ("Breast", "Adrenal_gland", "HeadNeck", "Bile-duct")


def make_pannuke(root: Path, patches: int, folds: int, floats: bool, seed: int = 0) -> None:
    """``Fold 1/images/fold1/images.npy`` and so on; ids begin anew in every channel."""
    rng = np.random.default_rng(seed)
    dtype = np.float64 if floats else np.uint8
    for fold in range(1, folds + 1):
        images = np.zeros((patches, 256, 256, 3), dtype)
        masks = np.zeros((patches, 256, 256, 6), np.float64 if floats else np.int32)
        for i in range(patches):
            image, instances, types, _ = paint(256, 5, rng)
            images[i] = image
            for channel in range(5):
                own = np.flatnonzero(types == channel + 1) + 1
                for number, k in enumerate(own, start=1):
                    masks[i, ..., channel][instances == k] = number
            masks[i, ..., 5] = instances == 0
        folder = root / f"Fold {fold}"
        for kind in ("images", "masks"):
            (folder / kind / f"fold{fold}").mkdir(parents=True)
        np.save(folder / "images" / f"fold{fold}" / "images.npy", images)
        np.save(folder / "masks" / f"fold{fold}" / "masks.npy", masks)
        names = np.array([PANNUKE_TISSUES[i % len(PANNUKE_TISSUES)] for i in range(patches)])
        np.save(folder / "images" / f"fold{fold}" / "types.npy", names)


def make_endonuke(root: Path, tiles: int, seed: int = 0) -> None:
    """``images``, ``labels/bulk/ANNOTATOR`` and ``masks``; tiles of 200, 400 and 256 pixels."""
    rng = np.random.default_rng(seed)
    for i in range(tiles):
        side, name = (200, 400, 256)[i % 3], f"{i:04d}"
        image, instances, types, centres = paint(side, 3, rng)
        save_image(root / "images" / f"{name}.png", image)
        save_image(root / "masks" / f"{name}.png", (instances > 0).astype(np.uint8))
        folder = root / "labels" / "bulk" / ("stud1", "ptg2")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        rows = [f"{x} {y} {kind - 1}" for (y, x), kind in zip(centres, types, strict=True)]
        (folder / f"{name}.txt").write_text("\n".join(rows) + "\n")
