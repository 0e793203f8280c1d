"""COCO's segmentations drawn together on one canvas: no mask of it for each of them."""

from __future__ import annotations

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
        self._polygons: list[npt.NDArray[np.float64]] = []
        self._of_polygon: list[int] = []

    def add(self, index: int, segmentation: Any, where: str) -> None:
        """Adds one: a list of polygons or run lengths. Raises ValueError that begins with ``where``."""
        self._count += 1
        try:
            if isinstance(segmentation, dict):
                spans = run_spans(self._runs(segmentation), self._shape)
                self._spans.append(spans)
                self._of.append(np.full(len(spans[0]), index))
                return
            if not isinstance(segmentation, list):
                raise ValueError("expected polygons or run lengths")
            polygons = [_polygon(flat) for flat in segmentation]
            self._polygons += polygons
            self._of_polygon += [index] * len(polygons)
        except ValueError as error:
            raise ValueError(f"{where}: segmentation: {error}") from None

    def paint_on(self, flat: npt.NDArray[np.int32]) -> int:
        """Writes the indices into a canvas as one line down its columns; the later one holds.

        Returns how many of them cover no pixel.
        """
        number, starts, stops = polygon_spans(self._polygons, self._shape)
        of = np.concatenate([*self._of, np.array(self._of_polygon, np.int64)[number]])
        starts = np.concatenate([*(first for first, _ in self._spans), starts])
        stops = np.concatenate([*(last for _, last in self._spans), stops])
        order = np.argsort(of, kind="stable")
        paint(flat, starts[order], stops[order], of[order])
        return self._count - len(np.unique(of[stops > starts]))

    def _runs(self, segmentation: dict[str, Any]) -> list[int]:
        size, counts = segmentation.get("size"), segmentation.get("counts")
        if size != list(self._shape):
            raise ValueError(f"size: expected {list(self._shape)}, got {size}")
        if isinstance(counts, str):
            return from_string(counts)
        if not isinstance(counts, list):
            raise ValueError(f"counts: expected run lengths, got {str(counts)[:60]}")
        return counts


def _polygon(flat: Any) -> npt.NDArray[np.float64]:
    try:
        points = np.asarray(flat)
    except ValueError:  # lists of different lengths
        points = np.zeros(0)
    numbers = points.ndim == 1 and points.dtype.kind in "iuf"
    if not numbers or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
        raise ValueError("expected polygons of three or more finite points")
    return points.reshape(-1, 2).astype(np.float64)
