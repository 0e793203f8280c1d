"""Slides read by OpenSlide (the extra ``wsi``): MIRAX, and TIFF variants that tifffile cannot read."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.io.errors import unreadable
from napari_cosynth.io.units import LARGEST_MPP, LARGEST_STATED, plausible_mpp
from napari_cosynth.slides.pixels import opaque
from napari_cosynth.slides.pyramid import (
    LazyLevel,
    Slide,
    SlideFacts,
    with_overview,
)

_TILE = 512
"""Side of a read in pixels. OpenSlide does not tell every vendor's tiles, and caches decoded ones."""
_ONE_FILE = (".bif", ".ndpi", ".scn", ".svs", ".svslide", ".tif", ".tiff")
"""Files that hold all pixels of their slide."""
_PIXELS_OF_A_BYTE = 5000
"""More than a compressed white slide has. For tiles that are not there OpenSlide makes pixels up."""


def openslide_missing() -> bool:
    """Whether the extra is not installed."""
    return find_spec("openslide") is None


def open_with_openslide(path: Path, overview: bool = True) -> Slide:
    """A slide read by OpenSlide, RGB; areas that the scanner left out have the slide's background.

    ``overview`` adds a coarse level if the file has none
    (:func:`~napari_cosynth.slides.pyramid.with_overview`). Raises ValueError naming the file, or the
    missing extra, and where a TIFF states a size for which it has by far too few bytes.
    """
    try:
        import openslide
    except (ImportError, OSError):
        raise ValueError(
            f"{path}: reading it needs OpenSlide: pip install 'napari-cosynth[wsi]'"
        ) from None
    try:
        opened = openslide.OpenSlide(path)
        sizes, factors = opened.level_dimensions, opened.level_downsamples
        properties = dict(opened.properties)
    except Exception as error:  # openslide raises errors of PIL, ctypes and its own
        raise unreadable(path, "cannot be read by OpenSlide", error) from None
    if overview and path.suffix.lower() in _ONE_FILE:
        _check_bytes(path, sizes[-1])
    colour = properties.get(openslide.PROPERTY_NAME_BACKGROUND_COLOR, "FFFFFF")
    background = np.array(list(bytes.fromhex(colour)), np.uint8)
    levels = [
        _level(opened, index, (height, width), factor, background, path)
        for index, ((width, height), factor) in enumerate(zip(sizes, factors, strict=True))
    ]
    vendor = properties.get(openslide.PROPERTY_NAME_VENDOR, "")
    mpp = _mpp(properties)
    facts = SlideFacts("", vendor, "", "OpenSlide's properties" if mpp else "", len(levels))
    found = with_overview(levels, path) if overview else tuple(levels)
    return Slide(found, mpp, path, facts)


def mpp_by_openslide(path: Path) -> float | None:
    """µm/px of a scanner's file by OpenSlide; None if it finds none or is not installed.

    Plain TIFF files give None, because OpenSlide only repeats their resolution tags.
    """
    try:
        import openslide

        if openslide.OpenSlide.detect_format(path) in (None, "generic-tiff"):
            return None
        with openslide.OpenSlide(path) as opened:
            return _mpp(dict(opened.properties))
    except Exception:  # openslide raises errors of PIL, ctypes and its own
        return None


def _check_bytes(path: Path, smallest: tuple[int, int]) -> None:
    """Raises ValueError where a level that would be read whole cannot be in the file."""
    width, height = smallest
    if width * height > _PIXELS_OF_A_BYTE * max(path.stat().st_size, 10_000):
        raise ValueError(
            f"{path}: truncated: its smallest level has {height} x {width} pixels, the file "
            f"{path.stat().st_size} bytes"
        )


def _level(
    opened: Any,
    index: int,
    shape: tuple[int, int],
    factor: float,
    background: npt.NDArray[np.uint8],
    path: Path,
) -> Any:
    def read(window: tuple[slice, ...]) -> npt.NDArray[np.uint8]:
        rows, columns = window[:2]
        # OpenSlide takes the corner in whole pixels of the first level.
        corner = (round(columns.start * factor), round(rows.start * factor))
        size = (columns.stop - columns.start, rows.stop - rows.start)
        rgba = np.asarray(opened.read_region(corner, index, size))
        return opaque(rgba[..., :3], rgba[..., 3:], background)

    return LazyLevel((*shape, 3), np.dtype(np.uint8), (_TILE, _TILE, 3), read, path).as_array()


def _mpp(properties: dict[str, str]) -> float | None:
    try:
        x, y = (float(properties[f"openslide.mpp-{axis}"]) for axis in "xy")
    except (KeyError, ValueError):
        return None
    # In DICOM large pixels are those of an overview; elsewhere they may be a print resolution.
    dicom = properties.get("openslide.vendor") == "dicom"
    return plausible_mpp(x, y, LARGEST_STATED if dicom else LARGEST_MPP)
