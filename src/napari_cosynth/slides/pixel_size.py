"""Pixel size of a TIFF file (µm/px) and its source: a vendor's text, OME-XML or resolution tags."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from napari_cosynth.io.units import micrometres, number, plausible_mpp, stated_mpp
from napari_cosynth.slides.openslide_slide import mpp_by_openslide

_RESOLUTION_UNITS = {2: 25400.0, 3: 1e4, 4: 1e3, 5: 1.0}
"""Code of the resolution unit -> µm: inch and centimetre by the standard, mm and µm by custom."""


def mpp_of(tif: Any, series: Any) -> tuple[float | None, str]:
    """µm/px of a series of an open file and where it is written; (None, "") rather than a guess.

    OpenSlide is asked if the file's own text does not state it.
    """
    mpp, source = _stated(tif, series)
    if mpp is None:
        mpp, source = mpp_by_openslide(Path(tif.filehandle.path)), "OpenSlide's properties"
    return mpp, source if mpp is not None else ""


def _stated(tif: Any, series: Any) -> tuple[float | None, str]:
    page = series.keyframe
    if tif.is_svs:
        found = re.search(r"\|\s*MPP\s*=\s*([^|\s]+)", page.description)
        return stated_mpp(found[1]) if found else None, "Aperio's text"
    if tif.is_philips:
        return _philips_mpp(tif.pages[0].description), "Philips' XML"
    if tif.is_ome:
        place = [one is series for one in tif.series].index(True)
        return _ome_mpp(tif.ome_metadata, series, place), "OME-XML"
    unit = (tif.imagej_metadata or {}).get("unit")
    try:
        x, y = (page.tags[name].value for name in ("XResolution", "YResolution"))
        per_x, per_y = x[0] / x[1], y[0] / y[1]
        size = (
            micrometres(unit)
            if unit is not None
            else _RESOLUTION_UNITS.get(int(page.tags["ResolutionUnit"].value))
        )
        mpp = None if size is None else plausible_mpp(size / per_x, size / per_y)
    except (KeyError, ZeroDivisionError, TypeError, ValueError, IndexError):
        return None, ""
    return mpp, "resolution tags" if unit is None else "ImageJ's unit and resolution tags"


def _ome_mpp(xml: str | None, series: Any, place: int) -> float | None:
    """µm/px in OME-XML of the image in a series.

    The image is the one of the series' size; if several have it, the one at the series' place, or any if
    they agree on µm/px.
    """
    try:
        listed = ElementTree.fromstring(xml or "").findall("{*}Image/{*}Pixels")
    except ElementTree.ParseError:
        return None
    sides = dict(zip(series.axes, series.shape, strict=True))
    wanted = str(sides.get("X")), str(sides.get("Y"))
    fitting = [p for p in listed if (p.get("SizeX"), p.get("SizeY")) == wanted]
    if place < len(listed) and listed[place] in fitting:
        return _pixel_size(listed[place])
    sizes = {_pixel_size(pixels) for pixels in fitting}
    return sizes.pop() if len(sizes) == 1 else None


def _pixel_size(pixels: ElementTree.Element) -> float | None:
    found = []
    for axis in "XY":
        size = number(pixels.get(f"PhysicalSize{axis}", ""))
        unit = micrometres(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        if size is None or unit is None:
            return None
        found.append(size * unit)
    return plausible_mpp(*found)


def _philips_mpp(xml: str) -> float | None:
    """The least plausible pixel spacing in Philips' XML, which is the first level's, in µm.

    Spacings are pairs in mm, rows before columns.
    """
    found = []
    for text in re.findall(r'Name="DICOM_PIXEL_SPACING"[^>]*>([^<]*)<', xml):
        numbers = [number(word) for word in re.findall(r"[^\s\"]+", text.replace("&quot;", " "))]
        rows, columns = numbers if len(numbers) == 2 else (None, None)
        if rows is not None and columns is not None:
            found.append(plausible_mpp(columns * 1e3, rows * 1e3))
    return min((size for size in found if size is not None), default=None)
