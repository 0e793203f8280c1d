"""Slides in TIFF files (SVS, NDPI, SCN, pyramidal TIFF, OME-TIFF), read lazily by tifffile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_cosynth.io.errors import unreadable
from napari_cosynth.io.tiff import (
    largest_series,
    open_tiff_file,
    orientation_of,
    require_whole,
    upright,
)
from napari_cosynth.slides.files import eight_bits, scaled
from napari_cosynth.slides.pixel_size import mpp_of
from napari_cosynth.slides.pixels import Samples, samples_of
from napari_cosynth.slides.pyramid import (
    LazyLevel,
    Slide,
    SlideFacts,
    with_overview,
)

_VENDORS = {
    "svs": "Aperio",
    "ndpi": "Hamamatsu",
    "scn": "Leica",
    "philips": "Philips",
    "bif": "Ventana",
    "qpi": "PerkinElmer",
    "ome": "OME-TIFF",
    "imagej": "ImageJ",
}
"""tifffile's kinds of file -> names; the first kind that fits a file counts."""
_COMPRESSIONS = {
    "NONE": "none",
    "ADOBE_DEFLATE": "Deflate",
    "DEFLATE": "Deflate",
    "APERIO_JP2000_RGB": "JPEG 2000",
    "APERIO_JP2000_YCBC": "JPEG 2000",
    "JPEG_2000_LOSSY": "JPEG 2000",
}
MOST_LEVELS = 32
"""Most levels of a slide. If each is half as large as the last, 32 reach 2**32 pixels a side."""


def open_tiff(path: Path, overview: bool = True) -> Slide:
    """The largest image of a TIFF file with its pyramid; label and macro pictures are smaller.

    Without ``overview`` only the file's own levels are returned, except for 16-bit images. Raises
    ValueError naming the file if it is damaged, needs a missing decoder, states absurd sizes or holds no
    8-bit or 16-bit RGB or grey image.
    """
    try:
        return _opened(path, overview)
    except Exception as error:  # decoders raise what they like on damaged files
        raise unreadable(path, "cannot be read as a TIFF", error) from None


def _opened(path: Path, overview: bool) -> Slide:
    tif = open_tiff_file(path)
    series = largest_series(tif)
    samples = samples_of(path, series)
    if samples.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"{path}: expected an 8-bit RGB or grey image, got {series.dtype} {series.axes} "
            f"{series.shape}"
        )
    if len(series.levels) > MOST_LEVELS:
        raise ValueError(f"{path}: expected at most {MOST_LEVELS} levels, got {len(series.levels)}")
    levels = []
    for index, level in enumerate(series.levels):
        require_whole(path, level)
        array = _array(path, series, index, level, samples)
        levels.append(upright(array, orientation_of(series.keyframe)))
    found = tuple(levels)
    if overview or samples.dtype == np.uint16:  # the smallest level tells whether white is known
        found = with_overview(levels, path)
    if samples.dtype == np.uint16:
        found = _eight_bits(found, path)
    mpp, mpp_from = mpp_of(tif, series)
    page = series.keyframe
    kind = next((name for flag, name in _VENDORS.items() if getattr(tif, f"is_{flag}")), "TIFF")
    made_by = page.tags.get("Make")
    compression = str(page.compression.name)
    facts = SlideFacts(
        kind if "TIFF" in kind else f"TIFF of {kind}",
        kind if "TIFF" not in kind else str(made_by.value).strip() if made_by else "",
        _COMPRESSIONS.get(compression, compression),
        mpp_from,
        len(series.levels),
    )
    return Slide(found, mpp, path, facts)


def _eight_bits(levels: tuple[Any, ...], path: Path) -> tuple[Any, ...]:
    """16-bit levels as 8-bit levels. Raises ValueError if the smallest shows that white is unknown."""
    eight_bits(np.asarray(levels[-1]), str(path), path.parent)
    return tuple(
        scaled(level) if isinstance(level, np.ndarray) else level.map_blocks(scaled, dtype=np.uint8)
        for level in levels
    )


def _array(path: Path, series: Any, index: int, level: Any, samples: Samples) -> Any:
    page = level.keyframe
    size = level.shape[1:] if samples.planar else level.shape[:2]
    opened: list[Any] = []

    def raw(window: tuple[slice, ...]) -> Any:
        if page.is_memmappable and len(level.pages) == 1:
            return level.asarray(out="memmap")[window]
        whole = zip(window, level.shape, strict=True)
        if page.jpegheader is None and all((p.start, p.stop) == (0, size) for p, size in whole):
            return level.asarray()
        if not opened:
            import zarr

            opened.append(zarr.open(series.aszarr(level=index), mode="r"))
        return opened[0][window]

    def read(window: tuple[slice, ...]) -> Any:
        return samples.pixels(np.asarray(raw(samples.window(window))))

    if page.is_tiled:
        tile = (page.tilelength, page.tilewidth)
    elif page.is_memmappable:
        tile = (1, size[1])
    else:
        tile = (min(page.rowsperstrip, size[0]), size[1])
    channels = samples.shape[2:]
    sizes = tuple(int(n) for n in (*tile, *channels))
    return LazyLevel((*size, *channels), samples.dtype, sizes, read, path).as_array()


def pixels_of(path: Path) -> int:
    """The number of pixels of the largest image in a TIFF file, from its header alone.

    Raises ValueError naming the file if it is damaged or its kind of colours is unknown.
    """
    try:
        with open_tiff_file(path) as tif:
            height, width = samples_of(path, largest_series(tif)).shape[:2]
    except Exception as error:  # tifffile raises what it likes on damaged files
        raise unreadable(path, "cannot be read as a TIFF", error) from None
    return int(height) * int(width)
