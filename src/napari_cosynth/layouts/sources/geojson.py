"""Nuclei from GeoJSON: points, polygons, classes and measurements."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.geojson import Feature
from napari_cosynth.foreign.geojson_nuclei import read_nuclei
from napari_cosynth.geometry.outlines import Outline, outline_centroids
from napari_cosynth.layouts.sources.nuclei import Nuclei


def read_geojson(path: str | Path) -> Nuclei:
    """The nuclei of a GeoJSON file, polygons and points, by the rules of ``foreign.geojson_nuclei``.

    ``notes`` counts features that were left out. Raises ValueError naming file and feature.
    """
    path = Path(path)
    found, notes = read_nuclei(path)
    outlines: list[Outline] = []
    for nucleus in found:
        polygons = nucleus.polygons if nucleus.point is None else ([nucleus.point],)
        outlines.append(tuple(tuple(_centred(ring) for ring in rings) for rings in polygons))
    return Nuclei(
        outline_centroids(outlines).reshape(-1, 2),
        tuple(nucleus.feature.class_name for nucleus in found),
        str(path),
        tuple(outlines) if found and all(nucleus.polygons for nucleus in found) else None,
        _measurements([nucleus.feature for nucleus in found]),
        notes=notes,
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
