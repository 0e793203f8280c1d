"""Reading the files of a data set: every failure names the file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")


def images_in(folder: Path) -> dict[str, Path]:
    """Image files of a folder by stem, sorted. Raises ValueError if there are none or two alike."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            if path.stem in found:
                raise ValueError(f"{path}: {found[path.stem].name} has the same name")
            found[path.stem] = path
    if not found:
        raise ValueError(f"{folder}: no images ({', '.join(IMAGE_SUFFIXES)})")
    return found


def read_image(path: Path) -> npt.NDArray[np.generic]:
    """An image file of any kind as an array; ValueError naming the file if it cannot be read."""
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            import tifffile

            return np.asarray(tifffile.imread(path))
        from skimage.io import imread

        return np.asarray(imread(path))
    except Exception as error:  # decoders raise what they like on damaged files
        raise ValueError(f"{path}: cannot be read as an image ({error})") from error


def read_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """uint8 (H, W, 3); grey is repeated, alpha dropped."""
    image = read_image(path)
    if image.ndim == 2:
        image = np.stack([image] * 3, -1)
    if image.ndim != 3 or image.shape[2] not in (3, 4) or image.dtype != np.uint8:
        raise ValueError(f"{path}: expected an 8-bit RGB image, got {image.dtype} {image.shape}")
    return np.ascontiguousarray(image[..., :3]).astype(np.uint8, copy=False)


def select(
    names: Iterable[str], only: Iterable[str], without: Iterable[str], where: Path
) -> list[str]:
    """The names asked for; an unknown one is an error, so that a split never silently leaks."""
    names, only, without = list(names), list(only), list(without)
    for name in (*only, *without):
        if name not in names:
            raise ValueError(f"{where}: no tile named {name!r}")
    chosen = [n for n in names if (not only or n in only) and n not in without]
    if not chosen:
        raise ValueError(f"{where}: no tiles left after selection")
    return chosen
