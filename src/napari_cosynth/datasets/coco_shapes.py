"""COCO's segmentations drawn together on one canvas, without a mask for each."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.geometry.rle import from_string, paint, polygon_spans, run_spans


class CocoShapes:
    """Segmentations of instances on a canvas (H, W), kept until they are painted."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._count = 0
        self._of: list[npt.NDArray[np.int64]] = []
        self._spans: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
        self._polygons: list[list[float]] = []
        self._of_polygon: list[int] = []
        self._where: list[str] = []

    def add(self, index: int, segmentation: Any, where: str) -> None:
        """Adds a segmentation: a list of polygons, or run lengths.

        Raises ValueError that begins with ``where``; for polygons :meth:`paint_on` raises it.
        """
        self._count += 1
        try:
            if isinstance(segmentation, dict):
                spans = run_spans(self._runs(segmentation), self._shape)
                self._spans.append(spans)
                self._of.append(np.full(len(spans[0]), index))
                return
            if not isinstance(segmentation, list):
                raise ValueError("expected polygons or run lengths")
            self._polygons += segmentation
            self._of_polygon += [index] * len(segmentation)
            self._where += [where] * len(segmentation)
        except ValueError as error:
            raise ValueError(f"{where}: segmentation: {error}") from None

    def paint_on(self, flat: npt.NDArray[np.int32]) -> int:
        """Writes the indices into ``flat`` (H * W,), a canvas read down its columns; higher ones win.

        Returns the number of segmentations that cover no pixel.
        """
        points, sizes = self._points()
        try:
            number, starts, stops = polygon_spans(points, sizes, self._shape)
        except ValueError as error:
            ends = np.cumsum(sizes)
            farthest = int(np.searchsorted(ends, np.abs(points).max(1).argmax(), side="right"))
            raise ValueError(f"{self._where[farthest]}: segmentation: {error}") from None
        of = np.concatenate([*self._of, np.array(self._of_polygon, np.int64)[number]])
        starts = np.concatenate([*(first for first, _ in self._spans), starts])
        stops = np.concatenate([*(last for _, last in self._spans), stops])
        order = np.argsort(of, kind="stable")
        paint(flat, starts[order], stops[order], of[order])
        return self._count - len(np.unique(of[stops > starts]))

    def _points(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """The corners of all polygons (N, 2) and how many each has.

        One array for all polygons is much faster than an array for each.
        """
        try:
            sizes = np.array([len(flat) for flat in self._polygons], np.int64)
            numbers = np.array([*chain.from_iterable(self._polygons)])
        except (TypeError, ValueError):  # an entry is no list, or holds lists
            sizes, numbers = np.zeros(1, np.int64), np.zeros(0)
        good = numbers.dtype.kind in "iuf" and bool(np.isfinite(numbers).all())
        if not (good and (sizes >= 6).all() and (sizes % 2 == 0).all()):
            for flat, where in zip(self._polygons, self._where, strict=True):
                _check_polygon(flat, where)
        return numbers.astype(np.float64).reshape(-1, 2), sizes // 2

    def _runs(self, segmentation: dict[str, Any]) -> list[int]:
        size, counts = segmentation.get("size"), segmentation.get("counts")
        if size != list(self._shape):
            raise ValueError(f"size: expected {list(self._shape)}, got {size}")
        if isinstance(counts, str):
            return from_string(counts)
        if not isinstance(counts, list):
            raise ValueError(f"counts: expected run lengths, got {str(counts)[:60]}")
        return counts


def _check_polygon(flat: Any, where: str) -> None:
    try:
        points = np.asarray(flat)
    except ValueError:  # lists of different lengths
        points = np.zeros(0)
    numbers = points.ndim == 1 and points.dtype.kind in "iuf"
    if not numbers or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
        raise ValueError(f"{where}: segmentation: expected polygons of three or more finite points")
