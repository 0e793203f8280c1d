"""DICOM whole-slide images (the extra ``wsi``): by OpenSlide, or else frame by frame by pydicom.

OpenSlide and wsidicom read a series as a pyramid. But both refuse a file that lacks attributes which its
pixels do not need. pydicom, on which wsidicom is built, decodes the frames of such a file.
"""

from __future__ import annotations

import logging
import math
import warnings
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.io.errors import shown, unreadable
from napari_cosynth.io.units import LARGEST_STATED, plausible_mpp
from napari_cosynth.slides.openslide_slide import open_with_openslide, openslide_missing
from napari_cosynth.slides.pyramid import (
    LazyLevel,
    Slide,
    SlideFacts,
    check_size,
    with_overview,
)

logger = logging.getLogger(__name__)

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
"""SOP class of VL Whole Slide Microscopy Image Storage."""
MOST_FRAMES = 4_000_000
_READ = (
    "SOPClassUID",
    "Manufacturer",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "BitsAllocated",
    "NumberOfFrames",
    "TotalPixelMatrixRows",
    "TotalPixelMatrixColumns",
    "TotalPixelMatrixFocalPlanes",
    "NumberOfOpticalPaths",
    "DimensionOrganizationType",
    "PerFrameFunctionalGroupsSequence",
    "SharedFunctionalGroupsSequence",
    "ImagedVolumeWidth",
    "ImagedVolumeHeight",
)
"""What is asked of a file's header."""
_SEAMS = 24
"""Most frames whose borders are compared to find the order of frames, if the file does not state it."""


def is_dicom(path: Path) -> bool:
    """Whether a file begins like a DICOM file, whatever its name."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def dicom_in(folder: Path) -> Path | None:
    """The largest whole-slide image in a folder of DICOM files; None if there is none."""
    if find_spec("pydicom") is None:
        return None
    sizes = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith(".") and is_dicom(path):
            try:
                sizes[path] = math.prod(_matrix(_header(path)))
            except (TypeError, ValueError):
                continue
    return max(sizes, key=lambda path: sizes[path], default=None)


def open_dicom(path: Path, overview: bool = True) -> Slide:
    """A whole-slide image, with its series as a pyramid if OpenSlide reads it.

    Raises ValueError naming the file if it is damaged, is no whole-slide image, or needs the extra.
    """
    if not openslide_missing():
        try:
            return _described(open_with_openslide(path, overview))
        except ValueError as error:
            logger.info("%s; read frame by frame instead", error)
    return _described(_open_frames(path))


def _described(slide: Slide) -> Slide:
    facts = SlideFacts("DICOM", slide.facts.vendor, slide.facts.compression, "", slide.facts.stored)
    if find_spec("pydicom") is not None:
        content = _header(slide.path)
        syntax = getattr(content.file_meta, "TransferSyntaxUID", None)
        facts = SlideFacts(
            "DICOM",
            " ".join(str(content.get("Manufacturer") or "").split()),
            str(getattr(syntax, "name", "")),
            "DICOM's pixel spacing or imaged volume" if slide.mpp else "",
            slide.facts.stored,
        )
    return Slide(slide.levels, slide.mpp, slide.path, facts)


def _header(path: Path) -> Any:
    """The attributes of a file, without its pixels. Raises ValueError naming the file."""
    try:
        import pydicom
    except ImportError:
        raise ValueError(
            f"{path}: reading DICOM needs pydicom: pip install 'napari-cosynth[wsi]'"
        ) from None
    # pydicom warns of every frame's colour space and of values that are too long, and reads on.
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = pydicom.dcmread(path, stop_before_pixels=True)
            content.file_meta.TransferSyntaxUID  # noqa: B018
            for name in _READ:  # it makes values of bytes when they are asked for
                content.get(name)
    except Exception as error:  # pydicom raises what it likes on damaged files
        raise unreadable(path, "cannot be read as DICOM", error) from None
    return content


def _matrix(content: Any) -> tuple[int, int]:
    return int(content.get("TotalPixelMatrixRows")), int(content.get("TotalPixelMatrixColumns"))


def _open_frames(path: Path) -> Slide:
    content = _header(path)
    if str(content.get("SOPClassUID")) != WHOLE_SLIDE:
        kind = str(getattr(content.get("SOPClassUID"), "name", None))
        raise ValueError(f"{path}: SOPClassUID: expected a whole-slide image, got {shown(kind)}")
    try:
        height, width = _matrix(content)
        rows, columns, samples, bits, frames = (
            int(content.get(name, missing))
            for name, missing in (
                ("Rows", None),
                ("Columns", None),
                ("SamplesPerPixel", 1),
                ("BitsAllocated", 8),
                ("NumberOfFrames", 1),
            )
        )
        planes = int(content.get("TotalPixelMatrixFocalPlanes") or 1)
        planes *= int(content.get("NumberOfOpticalPaths") or 1)
    except (TypeError, ValueError):
        raise ValueError(f"{path}: expected the sizes of the image and of its frames") from None
    if (samples, bits) not in ((1, 8), (3, 8)) or planes != 1:
        raise ValueError(
            f"{path}: expected an 8-bit RGB or grey image of one plane, got {samples} samples of "
            f"{bits} bits, {planes} planes"
        )
    shape = (height, width) if samples == 1 else (height, width, 3)
    check_size(path, shape, (rows, columns, samples))
    if not 1 <= frames <= MOST_FRAMES:
        raise ValueError(f"{path}: NumberOfFrames: expected 1 to {MOST_FRAMES}, got {frames}")

    @lru_cache(maxsize=16)
    def frame(index: int) -> npt.NDArray[np.uint8]:
        return _frame(path, index, (rows, columns, *shape[2:]))

    grid = (-(-height // rows), -(-width // columns))
    places = _positions(path, content, (rows, columns))
    if places is None:
        if frames != math.prod(grid):
            raise ValueError(
                f"{path}: NumberOfFrames: expected {math.prod(grid)} for {height} x {width} pixels, "
                f"got {frames}"
            )
        by_columns = str(content.get("DimensionOrganizationType")) != "TILED_FULL" and _by_columns(
            path, frame, grid
        )
        order = np.arange(frames).reshape(grid[::-1]).T if by_columns else None
        places = {
            (y, x): int(order[y, x]) if order is not None else y * grid[1] + x
            for y, x in np.ndindex(*grid)
        }

    def read(window: tuple[slice, ...]) -> npt.NDArray[np.uint8]:
        (top, bottom), (left, right) = ((part.start, part.stop) for part in window[:2])
        out = np.full((bottom - top, right - left, *shape[2:]), 255, np.uint8)
        for y in range(top // rows, -(-bottom // rows)):
            for x in range(left // columns, -(-right // columns)):
                if (index := places.get((y, x))) is None:  # scanners leave out empty glass
                    continue
                y0, x0 = max(top, y * rows), max(left, x * columns)
                y1, x1 = min(bottom, (y + 1) * rows), min(right, (x + 1) * columns)
                part = frame(index)[
                    y0 - y * rows : y1 - y * rows, x0 - x * columns : x1 - x * columns
                ]
                out[y0 - top : y1 - top, x0 - left : x1 - left] = part
        return out

    tile = (rows, columns, *shape[2:])
    level = LazyLevel(shape, np.dtype(np.uint8), tile, read, path).as_array()
    facts = SlideFacts(stored=1)
    return Slide(with_overview([level], path), _mpp(content, height, width), path, facts)


def _frame(path: Path, index: int, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """A frame as RGB or grey, whatever its colour space. Raises ValueError naming file and frame."""
    from pydicom.pixels.utils import pixel_array

    where = f"{path}: frame {index}"
    try:
        with warnings.catch_warnings():
            # pydicom warns if a JPEG holds YCbCr and the header says RGB; it converts correctly.
            warnings.simplefilter("ignore")
            found = np.asarray(pixel_array(path, index=index))
    except Exception as error:  # pydicom and its decoders raise what they like
        raise unreadable(where, "cannot be decoded", error) from None
    if found.shape != shape or found.dtype != np.uint8:
        raise ValueError(f"{where}: expected uint8 {shape}, got {found.dtype} {found.shape}")
    return found


def _positions(
    path: Path, content: Any, tile: tuple[int, int]
) -> dict[tuple[int, int], int] | None:
    """(row, column) in the grid of tiles -> frame; None if the file does not state each frame's place."""
    listed = content.get("PerFrameFunctionalGroupsSequence")
    if not listed:
        return None
    try:
        positions = [_position(groups) for groups in listed]
    except Exception:  # pydicom raises what it likes on damaged values
        return None
    places = {}
    for index, (y, x) in enumerate(positions):
        if y % tile[0] or x % tile[1]:
            raise ValueError(f"{path}: frame {index}: expected a place in a grid of {tile}")
        places[y // tile[0], x // tile[1]] = index
    return places


def _position(groups: Any) -> tuple[int, int]:
    """(y, x) of a frame's first pixel."""
    position = groups.PlanePositionSlideSequence[0]
    return (
        int(position.RowPositionInTotalImagePixelMatrix) - 1,
        int(position.ColumnPositionInTotalImagePixelMatrix) - 1,
    )


def _by_columns(path: Path, frame: Any, grid: tuple[int, int]) -> bool:
    """Whether frames run down the columns, judged by their borders, if the file states no order.

    If they do, consecutive frames match at top and bottom better than at left and right.
    """
    beside, below = [], []
    for index in range(min(math.prod(grid) - 1, _SEAMS)):
        here, there = frame(index).astype(np.int32), frame(index + 1).astype(np.int32)
        if (index + 1) % grid[1]:
            beside.append(np.abs(here[:, -1] - there[:, 0]).mean())
        if (index + 1) % grid[0]:
            below.append(np.abs(here[-1] - there[0]).mean())
    found = bool(below) and bool(beside) and np.mean(below) < np.mean(beside)
    if found:
        logger.warning("%s: the order of its frames is not stated: by columns, as they fit", path)
    return bool(found)


def _mpp(content: Any, height: int, width: int) -> float | None:
    """µm/px from the pixel spacing of all frames, else from the size of the imaged volume, both in mm.

    None if the file states neither.
    """
    try:
        shared = content.SharedFunctionalGroupsSequence[0]
        y, x = (float(v) * 1e3 for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    except Exception:  # pydicom raises what it likes on damaged values
        try:
            x = float(content.ImagedVolumeWidth) * 1e3 / width
            y = float(content.ImagedVolumeHeight) * 1e3 / height
        except (AttributeError, TypeError, ValueError):
            return None
    return plausible_mpp(x, y, LARGEST_STATED)
