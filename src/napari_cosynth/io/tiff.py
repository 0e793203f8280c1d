"""TIFF files from outside, read by tifffile after checks against damage.

One changed byte can turn 96 rows into 15 million. tifffile would then ask for each missing tile and fill
it with zeros. Page directories may link back to each other without end. A JPEG tile states a size of its
own, and its decoder reserves memory for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

MOST_PAGES = 10_000
"""Most pages of a file. A slide has a dozen, a stack some thousands; millions are an attack."""
LARGEST_SEGMENT = 2**28
"""Most bytes of one decoded tile or strip. More is no tissue image but a mistake or an attack."""
LARGEST_ARRAY = 2**32
"""Most bytes of an image that is read at once."""
JPEG = (6, 7, 33007, 34892)
"""Codes of JPEG compression."""


class DamagedTiffError(ValueError):
    """A file that claims pixels it does not hold, or more than is read.

    Callers do not try another reader: it would not find the pixels either.
    """


def open_tiff_file(path: Path, most_pages: int = MOST_PAGES) -> Any:
    """An open ``tifffile.TiffFile`` of at most ``most_pages`` pages.

    Raises :class:`DamagedTiffError` naming the file if it has more. Errors of tifffile pass through.
    """
    import tifffile

    tif = tifffile.TiffFile(path)
    try:
        tif.pages[most_pages]  # counting the pages would never end on a ring of directories
    except IndexError:
        return tif
    except Exception:  # the entry exists, and is not a valid page
        pass
    tif.close()
    raise DamagedTiffError(f"{path}: expected at most {most_pages} pages")


def require_whole(path: Path, series: Any) -> None:
    """Raises :class:`DamagedTiffError` if a series, or a level, needs pixels that the file lacks.

    Afterwards the decoders of its pages refuse JPEG tiles larger than ``LARGEST_SEGMENT``.
    """
    if (start := series.dataoffset) is not None:
        _require_end(path, start + series.nbytes)
        return
    for page in series.pages:
        if page is None:
            raise DamagedTiffError(f"{path}: a page of its {series.axes} {series.shape} is missing")
        require_whole_page(path, page)


def require_whole_page(path: Path, page: Any) -> None:
    """Raises :class:`DamagedTiffError` if a page needs pixels that the file lacks.

    Afterwards its decoder refuses JPEG tiles larger than ``LARGEST_SEGMENT``.
    """
    starts, sizes = page.dataoffsets, page.databytecounts
    if page.is_contiguous:
        if starts:
            _require_end(path, starts[0] + page.nbytes)
        return
    wanted = math.prod(page.chunked)
    if min(len(starts), len(sizes)) < wanted:
        raise DamagedTiffError(
            f"{path}: truncated: {tuple(page.shape)} pixels need {wanted} tiles or strips, "
            f"got {min(len(starts), len(sizes))}"
        )
    ends = np.array(starts[:wanted], np.uint64) + np.array(sizes[:wanted], np.uint64)
    _require_end(path, int(ends.max(initial=0)))
    frame = page.keyframe
    if frame.compression in JPEG and frame.jpegheader is None and not hasattr(frame, "_checked"):
        frame.decode, frame._checked = _small_jpegs(path, frame.decode), True


def _require_end(path: Path, end: int) -> None:
    size = path.stat().st_size
    if end > size:
        raise DamagedTiffError(
            f"{path}: truncated: its pixels reach to byte {end}, the file to {size}"
        )


def _small_jpegs(path: Path, decode: Callable[..., Any]) -> Callable[..., Any]:
    from tifffile.tifffile import jpeg_shape

    def checked(data: bytes | None, *args: Any, **options: Any) -> Any:
        if data is not None:
            _, height, width, samples = jpeg_shape(data)
            if height * width * samples > LARGEST_SEGMENT:
                raise DamagedTiffError(
                    f"{path}: a JPEG tile claims {height} x {width} pixels of {samples} samples"
                )
        return decode(data, *args, **options)

    return checked


@contextmanager
def opened_series(path: Path) -> Iterator[tuple[Any, Any]]:
    """An open file and its :func:`largest_series`, whose pixels are all there and fit in memory.

    Raises :class:`DamagedTiffError` naming the file. Errors of tifffile pass through.
    """
    with open_tiff_file(path) as tif:
        series = largest_series(tif)
        if 0 in series.shape:
            raise DamagedTiffError(f"{path}: expected an image, got {series.shape} pixels")
        if (size := math.prod(series.shape) * series.dtype.itemsize) > LARGEST_ARRAY:
            raise DamagedTiffError(
                f"{path}: expected an image of at most {LARGEST_ARRAY // 2**30} GiB, "
                f"got {series.shape} {series.dtype}, {size / 2**30:.1f} GiB"
            )
        require_whole(path, series)
        yield tif, series


def largest_series(tif: Any) -> Any:
    """The series with the most pixels: the image itself, not its label, macro picture or thumbnail."""
    return max(tif.series, key=lambda s: math.prod(s.shape))


def orientation_of(page: Any) -> int:
    """The ``Orientation`` tag of a page, 1 if it has none."""
    tag = page.tags.get("Orientation")
    return int(tag.value) if tag is not None else 1


def upright(array: Any, orientation: int) -> Any:
    """An array (H, W, ...), numpy or dask, turned upright by a TIFF or EXIF orientation 1..8."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return array[rows, columns]
