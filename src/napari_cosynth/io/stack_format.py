"""Format of a stack, and the two files that every export carries beside its arrays.

``cosynth.json`` holds ``format`` (1), ``exporter`` (the format's name), ``classes`` (names, background
first), ``colors``, ``mpp`` (µm/px), ``samples`` (one description each: a recipe, or where the record
comes from), ``names`` and ``shapes`` ([H, W]) of the samples. ``layouts.csv`` holds the points that the
samples were made from. Its columns are ``sample,index,axis-0,axis-1,class``: the sample, then napari's.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.io.errors import one_line, shown
from napari_cosynth.io.text import encoding_of
from napari_cosynth.io.tiff import (
    MOST_PAGES,
    DamagedTiffError,
    open_tiff_file,
    require_whole,
    require_whole_page,
)
from napari_cosynth.io.units import LARGEST_STATED

FORMAT = 1
DESCRIPTION = "cosynth.json"
LAYOUTS = "layouts.csv"
Point = tuple[float, float, str]
"""y, x in pixels, class name."""

_FIELDS: tuple[tuple[str, type | tuple[type, ...]], ...] = (
    ("classes", list),
    ("colors", list),
    ("mpp", (int, float)),
    ("samples", list),
)


def read_description(path: Path) -> dict[str, Any]:
    """The description of a stack or another export. Raises ValueError naming file and field."""
    try:
        content = json.loads(path.read_text(encoding=encoding_of(path)))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error})") from None
    for field, kind in _FIELDS:
        if not isinstance(content, dict) or not isinstance(content.get(field), kind):
            raise ValueError(f"{path}: {field}: missing or of the wrong type")
    if not 0 < content["mpp"] < LARGEST_STATED:
        raise ValueError(f"{path}: mpp: expected µm/px, got {shown(content['mpp'])}")
    if content.get("format", FORMAT) != FORMAT:
        raise ValueError(f"{path}: format: expected {FORMAT}, got {shown(content['format'])}")
    for field in ("names", "shapes"):
        listed = content.get(field)
        if listed is not None and (
            not isinstance(listed, list) or len(listed) != len(content["samples"])
        ):
            raise ValueError(f"{path}: {field}: expected a list of one per sample")
    return dict(content)


def read_points(path: Path, count: int, classes: Sequence[str]) -> list[list[Point]]:
    """The points of each of ``count`` samples. Raises ValueError naming file and line."""
    rows: list[list[Point]] = [[] for _ in range(count)]
    for sample, point in points_of(path, count, classes):
        rows[sample].append(point)
    return rows


def points_of(path: Path, count: int, classes: Sequence[str]) -> Iterator[tuple[int, Point]]:
    """(sample, point) line by line. ``classes`` are the known names, background first.

    Raises ValueError naming file and line.
    """
    known = frozenset(classes[1:])
    try:
        with path.open(newline="", encoding=encoding_of(path)) as handle:
            for line, row in enumerate(csv.DictReader(handle), start=2):
                try:
                    sample, point = int(row["sample"]), (float(row["axis-0"]), float(row["axis-1"]))
                    if not 0 <= sample < count:
                        raise ValueError(f"sample: expected 0..{count - 1}, got {sample}")
                    if row["class"] not in known:
                        raise ValueError(f"class: unknown {row['class']!r}")
                except (KeyError, TypeError, ValueError) as error:
                    raise ValueError(f"{path}: line {line}: {one_line(error)}") from None
                yield sample, (*point, row["class"])
    except (OSError, UnicodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as CSV ({error})") from None


class Pages:
    """One array of a stack, read a sample at a time: ``pages[i]`` is (H, W) or (H, W, 3)."""

    def __init__(
        self, path: Path, count: int, dtype: type[np.generic], dimensions: int, wide: bool = False
    ) -> None:
        """``wide`` accepts uint16 in place of ``dtype``. Raises ValueError naming the file."""
        self.path = path
        self._count = count
        self._open: Any = None
        self._whole: Any = None
        try:
            series = self._series()
            shape, found = tuple(series.shape), series.dtype
            # Other programs may pack several samples into a page: then everything is read at once.
            if len(series.pages) != count:
                require_whole(path, series)
                self._whole = series.asarray().reshape(shape)
        except DamagedTiffError:
            raise
        except Exception as error:  # decoders raise what they like on damaged files
            raise ValueError(f"{path}: cannot be read as a TIFF ({error})") from None
        if len(shape) == dimensions - 1 and count == 1:
            shape = (1, *shape)  # tifffile drops a single sample's axis
        if wide and found == np.uint16:
            dtype = np.uint16
        if found != dtype or len(shape) != dimensions or shape[0] != count:
            raise ValueError(
                f"{path}: expected {np.dtype(dtype)} with {count} samples, got {found} {shape}"
            )
        self.shape, self.dtype = shape, np.dtype(dtype)

    def _series(self) -> Any:
        if self._open is None:
            self._open = open_tiff_file(self.path, max(MOST_PAGES, self._count))
        return self._open.series[0]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": None}  # an open file cannot go to another process

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: int) -> npt.NDArray[Any]:
        if self._whole is not None:
            return np.asarray(self._whole[index])
        try:
            claimed = self._series().pages[index]
            if tuple(claimed.shape) != self.shape[1:]:
                raise ValueError(f"expected {self.shape[1:]}, got {claimed.shape}")
            require_whole_page(self.path, claimed)
            page = np.asarray(claimed.asarray())
        except DamagedTiffError:
            raise
        except Exception as error:  # decoders raise what they like on damaged files
            raise ValueError(f"{self.path}: sample {index}: cannot be read ({error})") from None
        return page
