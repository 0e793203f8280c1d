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
    SlideFacts,
    plausible_mpp,
    with_overview,
)
from napari_cosynth.data.units import micrometres
from napari_cosynth.tiff import open_tiff_file, require_whole

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
"""tifffile's kinds of file; the first that fits names it."""
_COMPRESSIONS = {
    "NONE": "none",
    "ADOBE_DEFLATE": "Deflate",
    "DEFLATE": "Deflate",
    "APERIO_JP2000_RGB": "JPEG 2000",
    "APERIO_JP2000_YCBC": "JPEG 2000",
    "JPEG_2000_LOSSY": "JPEG 2000",
}
_NUMBER = r"([0-9.]+(?:[eE][-+]?[0-9]+)?)"
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
    mpp, mpp_from = _mpp(tif, series)
    page = series.keyframe
    kind = next((name for flag, name in _VENDORS.items() if getattr(tif, f"is_{flag}")), "TIFF")
    made_by = page.tags.get("Make")
    compression = str(page.compression.name)
    facts = SlideFacts(
        kind if "TIFF" in kind else f"TIFF of {kind}",
        kind if "TIFF" not in kind else str(made_by.value).strip() if made_by else "",
        _COMPRESSIONS.get(compression, compression),
        mpp_from if mpp else "",
        len(levels),
    )
    return Slide(with_overview(levels, path), mpp, path, facts)


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


def _mpp(tif: Any, series: Any) -> tuple[float | None, str]:
    """µm/px of a series, None rather than a guess, and where it is written."""
    page = series.keyframe
    if tif.is_svs:
        found = re.search(rf"\|\s*MPP\s*=\s*{_NUMBER}", page.description)
        return _plausible(found[1], found[1]) if found else None, "Aperio's text"
    if tif.is_philips:
        return _philips_mpp(page.description), "Philips' XML"
    if tif.is_ome:
        return _ome_mpp(tif, series), "OME-XML"
    try:
        x, y = (page.tags[name].value for name in ("XResolution", "YResolution"))
        per_x, per_y = x[0] / x[1], y[0] / y[1]
        unit = (tif.imagej_metadata or {}).get("unit")
        if unit is not None:
            size = micrometres(unit) or float("nan")
            return plausible_mpp(size / per_x, size / per_y), "ImageJ's unit and resolution tags"
        size = {2: 25400.0, 3: 10000.0}[int(page.tags["ResolutionUnit"].value)]
        return plausible_mpp(size / per_x, size / per_y), "resolution tags"
    except (KeyError, ZeroDivisionError, TypeError, ValueError, IndexError):
        return None, ""


def _plausible(x: str, y: str, unit: float = 1.0) -> float | None:
    try:
        return plausible_mpp(float(x) * unit, float(y) * unit)
    except ValueError:
        return None


def _philips_mpp(xml: str) -> float | None:
    """The least spacing, in mm there, of its levels."""
    mark = r"(?:&quot;|\")"
    pair = rf"{mark}{_NUMBER}{mark}\s+{mark}{_NUMBER}{mark}"
    found = re.findall(rf'"DICOM_PIXEL_SPACING"[^>]*>\s*{pair}', xml)
    sizes = [size for y, x in found if (size := _plausible(x, y, 1e3)) is not None]
    return min(sizes, default=None)


def _ome_mpp(tif: Any, series: Any) -> float | None:
    """That of the image that a series is: by its number, unless its size is another's."""
    try:
        listed = ElementTree.fromstring(tif.ome_metadata or "").findall(".//{*}Image/{*}Pixels")
    except ElementTree.ParseError:
        return None
    number = next((n for n, other in enumerate(tif.series) if other is series), 0)
    listed = listed[number : number + 1] + listed  # those of its size, its own before others
    wanted = [str(series.shape[series.axes.index(axis)]) for axis in "XY"]
    for pixels in listed:
        if [pixels.attrib.get(f"Size{axis}") for axis in "XY"] == wanted:
            try:
                x, y = (
                    float(pixels.attrib[f"PhysicalSize{axis}"])
                    * (micrometres(pixels.attrib.get(f"PhysicalSize{axis}Unit", "µm")) or np.nan)
                    for axis in "XY"
                )
            except (KeyError, ValueError):
                return None
            return plausible_mpp(x, y)
    return None
