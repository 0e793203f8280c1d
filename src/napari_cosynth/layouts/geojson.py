"""QuPath's GeoJSON -> nuclei: points, polygons, classes and measurements."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.geojson import AREAS, POINTS, Feature, read_features
from napari_cosynth.geometry.outlines import Outline, outline_centroids
from napari_cosynth.layouts.nuclei import Nuclei


def read_geojson(path: str | Path) -> Nuclei:
    """The nuclei of a GeoJSON file: one per point of a (multi)point, one per (multi)polygon.

    A cell that has the outline of its nucleus is that outline. Features without a geometry, lines, and
    the annotated regions of a file with detections are left out and counted in ``notes``. Raises
    ValueError naming file and feature where something is damaged.
    """
    path = Path(path)
    features = read_features(path)
    detected = any(feature.is_nucleus for feature in features)
    left_out: Counter[str] = Counter()
    found: list[tuple[npt.NDArray[np.float64] | Outline, Feature]] = []
    for feature in features:
        kind = feature.kind
        if kind in POINTS:
            found += [(point, feature) for point in _centred(feature.points)]
        elif kind not in AREAS:
            left_out[f"of kind {kind}" if kind else "without a geometry"] += 1
        elif detected and not feature.is_nucleus:
            left_out["annotated regions beside detections"] += 1
        else:
            outline = tuple(tuple(_centred(ring) for ring in part) for part in feature.polygons)
            found.append((outline, feature))
    areas = [shape if isinstance(shape, tuple) else ((shape[None],),) for shape, _ in found]
    return Nuclei(
        outline_centroids(areas).reshape(-1, 2),
        tuple(feature.class_name for _, feature in found),
        str(path),
        tuple(areas) if found and all(isinstance(shape, tuple) for shape, _ in found) else None,
        _measurements([feature for _, feature in found]),
        notes=tuple(f"{count:,} features {what}" for what, count in left_out.items()),
    )


def _centred(positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(x, y) from the corner of pixel (0, 0) -> (y, x) with pixel centres at integers."""
    return np.asarray(positions[:, ::-1] - 0.5)


def _measurements(features: list[Feature]) -> dict[str, npt.NDArray[np.float64]]:
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for row, feature in enumerate(features):
        for name, value in feature.measurements.items():
            column = columns.setdefault(name, np.full(len(features), np.nan))
            column[row] = value
    return columns
