"""Readers for the files of data sets; every failure names the file."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.files import read_json
from napari_cosynth.io.errors import unreadable
from napari_cosynth.io.listing import composed
from napari_cosynth.io.tiff import opened_series, orientation_of, upright
from napari_cosynth.slides.picture import picture
from napari_cosynth.slides.pixels import samples_of

logger = logging.getLogger(__name__)


def read_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """An image file as a viewer shows it, uint8 (H, W, 3).

    Colours are converted to RGB as the file's metadata say, and grey is repeated. Transparent pixels are
    blended onto white. EXIF's orientation is applied, and 16 bits are scaled (:func:`eight_bits`). Raises
    ValueError naming the file if it cannot be read or its kind of colours is unknown.
    """
    try:
        image = _tiff(path) if path.suffix.lower() in (".tif", ".tiff") else picture(path)
    except Exception as error:  # decoders raise what they like on damaged files
        raise unreadable(path, "cannot be read as an image", error) from None
    if image.ndim == 2:
        image = np.stack([image] * 3, -1)
    return eight_bits(np.ascontiguousarray(image), str(path), path.parent)


def _tiff(path: Path) -> npt.NDArray[Any]:
    with opened_series(path) as (_, series):
        samples = samples_of(path, series)
        return np.asarray(
            upright(samples.pixels(series.asarray()), orientation_of(series.keyframe))
        )


FULL_SCALE = 4096
"""A 16-bit image with all values below this may hold 10 or 12 bits, so its white is unknown."""


def eight_bits(pixels: npt.NDArray[Any], where: str, dataset: Path) -> npt.NDArray[np.uint8]:
    """An image as uint8: uint8 as it is, uint16 scaled from 0..65535 to 0..255.

    Scaling is logged once for each ``dataset``. Raises ValueError naming ``where`` for other types, and
    for uint16 with no value of ``FULL_SCALE`` or more.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype != np.uint16:
        raise ValueError(
            f"{where}: expected 8 or 16 bits, got {pixels.dtype}; scale it to 0..255 and save as uint8"
        )
    if (most := int(pixels.max(initial=0))) < FULL_SCALE:
        raise ValueError(
            f"{where}: 16 bits, but no value above {most}: whether that is white, nothing tells; "
            "scale it to 0..255 and save as uint8"
        )
    _say_scaled(dataset)
    return scaled(pixels)


def scaled(pixels: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """``pixels`` / 257, rounded: 65535 becomes 255, and an image widened from 8 bits is restored."""
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


@lru_cache(maxsize=1024)
def _say_scaled(dataset: Path) -> None:
    logger.warning("%s: 16-bit images, read as 8 bits: values / 257", dataset)


def from_0_to_255(pixels: npt.NDArray[Any], where: str) -> npt.NDArray[np.uint8]:
    """An image of any number type with values in 0..255, such as PanNuke's float64, as uint8.

    Raises ValueError that begins with ``where`` for other values, and for floats with no value above 1,
    whose white is 1.
    """
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    if pixels.dtype.kind not in "iuf":
        raise ValueError(f"{where}: expected numbers in 0..255, got {pixels.dtype}")
    whole = pixels.dtype.kind in "iu"
    if not (whole or np.isfinite(pixels).all()) or pixels.min(initial=0) < 0:
        raise ValueError(f"{where}: expected values in 0..255, got other values")
    if (most := pixels.max(initial=0)) > 255:
        raise ValueError(f"{where}: expected values in 0..255, got {most}")
    if not whole and 0 < most <= 1:
        raise ValueError(f"{where}: no value above 1 in floats: scale the image to 0..255")
    return np.ascontiguousarray(pixels.round(), np.uint8)


def load_npy(path: Path, mapped: bool = False) -> npt.NDArray[Any]:
    """A plain ``.npy`` array, whole or mapped into memory. Raises ValueError naming the file.

    Arrays of Python objects are refused, because they would have to be unpickled.
    """
    try:
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except Exception as error:  # numpy raises what it likes on damaged files
        raise unreadable(path, "cannot be read as a plain .npy array", error) from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path}: expected one array")
    # Python cannot make text of other numbers, and says so with a SystemError.
    if array.dtype.kind == "U":
        numbers = np.frombuffer(array.tobytes(), f"{array.dtype.str[0]}u4")
        if (numbers > 0x10FFFF).any():
            raise ValueError(f"{path}: expected text, got numbers that are no characters")
    return array


def mat_names(path: Path) -> set[str]:
    """The names of a MATLAB file's variables, empty if it cannot be read."""
    from scipy.io import whosmat

    try:
        return {name for name, _, _ in whosmat(path)}
    except Exception:  # scipy raises what it likes on damaged files
        return set()


def read_tissues(path: Path, names: Iterable[str]) -> dict[str, str]:
    """The tissue of each name, from a JSON file that maps names to tissues.

    Raises ValueError naming the file if a name is missing.
    """
    content = read_json(path)
    organs = {composed(k): v for k, v in content.items()} if isinstance(content, dict) else {}
    for name in names:
        if not isinstance(organs.get(name), str):
            raise ValueError(f"{path}: no tissue for {name!r}")
    return {name: str(organs[name]) for name in names}


def select(
    names: Iterable[str], only: Iterable[str], without: Iterable[str], where: Path
) -> list[str]:
    """The names in ``only`` (all if empty) and not in ``without``.

    Raises ValueError, beginning with ``where``, for an unknown name, so that a split never leaks
    unnoticed, and if no name is left.
    """
    names = list(names)
    wanted, held = (dict.fromkeys(map(composed, chosen)) for chosen in (only, without))
    known = set(names)
    for name in (*wanted, *held):
        if name not in known:
            raise ValueError(f"{where}: no tile named {name!r}")
    chosen = [n for n in names if (not wanted or n in wanted) and n not in held]
    if not chosen:
        raise ValueError(f"{where}: no tiles left after selection")
    return chosen
