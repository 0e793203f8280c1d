"""Masks of EndoNuke's authors, one for each keypoint, as their ``generate_masks`` writes them.

Their tool (github.com/ispras/endometrium-dataset-analysis, ``endoanalysis.utils.generate_masks``) makes
``NAME.npz`` with ``masks`` (N, H, W), bool, and ``classes`` (N,), in the order of the lines of the
keypoint file. With ``--new_master_dir data/masks/masks_full`` the files lie in that folder's ``masks``,
else beside the keypoint files. A tile without keypoints has one empty mask and no class.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cosynth.io.errors import one_line
from napari_cosynth.io.listing import IMAGE_SUFFIXES, files_in

MASKS = "the authors' generate_masks makes NAME.npz from keypoints"
FULL = "masks_full"
"""Folder of masks of whole nuclei in the authors' instructions; ``masks_raw`` and ``masks_probes``
beside it hold others."""
LARGEST = 2**30
"""Most pixels of all masks of a tile; 2,000 nuclei on a tile of 400 pixels a side take a third of it."""


def mask_files(root: Path, chosen: str, labels: Iterable[Path]) -> list[Path]:
    """The files of masks that may belong to tiles of the folder ``dataset``.

    ``chosen``: the folder of masks, below the data set's folder or beside it; empty means ``masks``.
    ``labels``: the keypoint files, beside which masks may lie. Raises ValueError if there is neither a
    folder of masks nor a mask beside a keypoint file.
    """
    beside = [p for p in (label.with_suffix(".npz") for label in labels) if p.is_file()]
    if beside and not chosen:
        return beside
    places = [folder / (chosen or "masks") for folder in (root, root.parent)]
    place = next((p for p in places if p.is_dir()), places[0])
    if not place.is_dir():
        raise ValueError(f"{place}: no such folder; {MASKS}")
    files = files_in(place, (*IMAGE_SUFFIXES, ".npz"), below=True)
    full = [p for p in files if FULL in p.relative_to(place).parts]
    return full or files


def read_masks(
    path: Path, shape: tuple[int, int], classes: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """The masks of a tile, bool (N, H, W), for its N keypoints of ``classes`` 0..2, (N,).

    ``shape`` (H, W) is the tile's. Raises ValueError naming the file if it is damaged or belongs to other
    keypoints.
    """
    height, width = shape
    expected = (len(classes), height, width)
    try:
        with np.load(path, allow_pickle=False) as content:
            found = content["classes"]
            if found.shape != classes.shape or not np.array_equal(found, classes):
                raise ValueError(
                    f"classes: expected those of the {len(classes)} keypoints, got {found.shape}"
                )
            if not len(classes):
                return np.zeros(expected, bool)
            if len(classes) * height * width > LARGEST:
                raise ValueError(f"masks: {expected} are too many pixels")
            masks = content["masks"]
    except KeyError as error:
        raise ValueError(f"{path}: holds no array {error}; {MASKS}") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: cannot be read as masks ({one_line(error)[:200]})") from None
    if masks.shape != expected:
        raise ValueError(
            f"{path}: masks: expected {expected} as keypoints and image, got {masks.shape}"
        )
    return np.asarray(masks > 0)


def instances_of_masks(
    masks: npt.NDArray[np.bool_], keypoints: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int32], list[int]]:
    """Instances int32 (H, W), ids = row + 1 of a mask, and the rows that got no pixel.

    Masks can overlap, because the authors made each in a window of its own. A pixel of several masks
    goes to the one with the nearest keypoint; ``keypoints`` are (N, 2), (y, x).
    """
    instances = np.zeros(masks.shape[1:], np.int32)
    nearest = np.full(masks.shape[1:], np.inf)
    for row, (mask, (y, x)) in enumerate(zip(masks, keypoints, strict=True)):
        inside = np.argwhere(mask)
        away = np.hypot(inside[:, 0] - y, inside[:, 1] - x)
        mine = away < nearest[inside[:, 0], inside[:, 1]]
        own = tuple(inside[mine].T)
        nearest[own], instances[own] = away[mine], row + 1
    present = set(np.unique(instances).tolist())
    return instances, [row for row in range(len(masks)) if row + 1 not in present]
