"""Slides and other large TIFF images: their pyramid, read lazily, and their µm/px where they tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

SMALL = 2**26
"""Bytes; a level up to this size is read at once, which makes panning over it immediate."""
LARGEST_MPP = 10.0
"""A resolution tag above it is a print resolution (2540 dpi or less), not a microscope's."""
_PER_MICROMETRE = {"µm": 1.0, "um": 1.0, "micron": 1.0, "\\u00B5m": 1.0, "mm": 1e3, "nm": 1e-3}


@dataclass(frozen=True)
class Slide:
    """An open slide."""

    levels: tuple[Any, ...]
    """Array-likes uint8 (H, W, 3) or (H, W), largest first; numpy where small, else dask."""
    mpp: float | None
    """Micrometres per pixel of the first level; None where the file does not tell."""
    path: Path


def open_slide(path: str | Path) -> Slide:
    """Opens an SVS, a pyramidal TIFF or a plain one; nothing is ever written to it.

    Raises ValueError naming the file where it is damaged, needs a missing decoder or is no RGB or grey
    image.
    """
    path = Path(path)
    try:
        tif = tifffile.TiffFile(path)
        series = tif.series[0]
        axes, shape, dtype = series.axes, series.shape, series.dtype
    except Exception as error:  # decoders raise what they like on damaged files
        raise ValueError(f"{path}: cannot be read as a TIFF ({error})") from None
    rgb = axes == "YXS" and shape[-1] in (3, 4)
    if not (rgb or axes == "YX") or dtype != np.uint8:
        raise ValueError(f"{path}: expected an 8-bit RGB or grey image, got {dtype} {axes} {shape}")
    levels = [_array(path, series, index) for index in range(len(series.levels))]
    return Slide(tuple(level[..., :3] if rgb else level for level in levels), _mpp(tif), path)


def _array(path: Path, series: Any, index: int) -> Any:
    level = series.levels[index]
    try:
        if level.nbytes <= SMALL:
            return level.asarray()
        import zarr
        from dask import array as lazy

        opened: Any = zarr.open(series.aszarr(level=index), mode="r")
        # Some tiles at a time: one chunk a tile would make a graph of 100,000 tasks.
        chunks = [max(1, 2048 // n) * n if n > 16 else n for n in opened.chunks]
        return lazy.from_array(opened, chunks=chunks)  # type: ignore[no-untyped-call]
    except ImportError as error:
        raise ValueError(
            f"{path}: reading a large slide needs {error.name}: pip install 'napari-cosynth[gui]'"
        ) from None
    except Exception as error:
        raise ValueError(f"{path}: cannot be decoded ({error})") from None


def _mpp(tif: Any) -> float | None:
    """µm/px from the vendor's text, OME-XML or the resolution tags; None rather than a guess."""
    page = tif.pages[0]
    if tif.is_svs:
        found = re.search(r"\|\s*MPP\s*=\s*([0-9.]+)", page.description)
        return _plausible(float(found[1]), float(found[1])) if found else None
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
        return _plausible(size / per_x, size / per_y)
    except (KeyError, ZeroDivisionError, TypeError, ValueError):
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
    return _plausible(x, y)


def _plausible(x: float, y: float) -> float | None:
    square = np.isclose(x, y, rtol=0.01)
    return float(x) if square and 0.01 < x < LARGEST_MPP else None
