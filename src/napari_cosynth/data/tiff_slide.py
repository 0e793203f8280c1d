"""Slides in TIFF files (SVS, NDPI, SCN, pyramidal TIFF, OME-TIFF), by tifffile, read lazily."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from napari_cosynth.data.pyramid import (
    LazyLevel,
    Slide,
    plausible_mpp,
    with_overview,
)
from napari_cosynth.tiff import open_tiff_file, require_whole

_PER_MICROMETRE = {"µm": 1.0, "um": 1.0, "micron": 1.0, "\\u00B5m": 1.0, "mm": 1e3, "nm": 1e-3}
MOST_LEVELS = 32
"""Each half as large as the one before it, as in every slide, would be 2**32 pixels a side."""


def open_tiff(path: Path) -> Slide:
    """The largest image of a TIFF file with its pyramid; a label or macro picture is never the largest.

    Raises ValueError naming the file where it is damaged, needs a missing decoder, claims absurd
    sizes or holds no 8-bit RGB or grey image.
    """
    try:
        return _opened(path)
    except Exception as error:  # decoders raise what they like on damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, ValueError) and reason.startswith(str(path)):
            raise
        raise ValueError(f"{path}: cannot be read as a TIFF ({reason})") from None


def _opened(path: Path) -> Slide:
    tif = open_tiff_file(path)
    series = max(tif.series, key=lambda s: int(np.prod(s.shape, dtype=object)))
    axes, shape, dtype = series.axes, series.shape, series.dtype
    rgb = axes == "YXS" and shape[-1] in (3, 4)
    if not (rgb or axes == "YX") or dtype != np.uint8:
        raise ValueError(
            f"{path}: expected an 8-bit RGB or grey image, got {dtype} {axes} {shape}"
            + ("; scale it to 0..255 and save as uint8" if dtype == np.uint16 else "")
        )
    if len(series.levels) > MOST_LEVELS:
        raise ValueError(f"{path}: expected at most {MOST_LEVELS} levels, got {len(series.levels)}")
    levels = []
    for index, level in enumerate(series.levels):
        require_whole(path, level)
        array = _array(path, series, index, level)
        levels.append(array[..., :3] if rgb else array)
    return Slide(with_overview(levels, path), _mpp(tif, series.keyframe), path)


def _array(path: Path, series: Any, index: int, level: Any) -> Any:
    page = level.keyframe
    opened: list[Any] = []

    def read(window: tuple[slice, ...]) -> Any:
        if page.is_memmappable and len(level.pages) == 1:
            return level.asarray(out="memmap")[window]
        whole = zip(window, level.shape, strict=True)
        if page.jpegheader is None and all((p.start, p.stop) == (0, size) for p, size in whole):
            return level.asarray()
        if not opened:
            import zarr

            opened.append(zarr.open(series.aszarr(level=index), mode="r"))
        return opened[0][window]

    if page.is_tiled:
        tile = (page.tilelength, page.tilewidth)
    elif page.is_memmappable:
        tile = (1, level.shape[1])
    else:
        tile = (min(page.rowsperstrip, level.shape[0]), level.shape[1])
    sizes = tuple(int(n) for n in (*tile, *level.shape[2:]))
    return LazyLevel(level.shape, level.dtype, sizes, read, path).as_array()


def _mpp(tif: Any, page: Any) -> float | None:
    """µm/px from the vendor's text, OME-XML or the resolution tags; None rather than a guess."""
    if tif.is_svs:
        found = re.search(r"\|\s*MPP\s*=\s*([0-9]+(?:\.[0-9]*)?)", page.description)
        return plausible_mpp(float(found[1]), float(found[1])) if found else None
    if tif.is_ome:
        return _ome_mpp(tif.ome_metadata)
    try:
        x, y = (page.tags[name].value for name in ("XResolution", "YResolution"))
        per_x, per_y = x[0] / x[1], y[0] / y[1]
        unit = (tif.imagej_metadata or {}).get("unit")
        if unit is not None:
            size = _PER_MICROMETRE[unit]
        else:
            size = {2: 25400.0, 3: 10000.0}[int(page.tags["ResolutionUnit"].value)]
        return plausible_mpp(size / per_x, size / per_y)
    except (KeyError, ZeroDivisionError, TypeError, ValueError, IndexError):
        return None


def _ome_mpp(xml: str | None) -> float | None:
    try:
        pixels = ElementTree.fromstring(xml or "").find(".//{*}Pixels")
        assert pixels is not None
        x, y = (
            float(pixels.attrib[f"PhysicalSize{axis}"])
            * _PER_MICROMETRE[pixels.attrib.get(f"PhysicalSize{axis}Unit", "µm")]
            for axis in "XY"
        )
    except (ElementTree.ParseError, AssertionError, KeyError, ValueError):
        return None
    return plausible_mpp(x, y)
