"""QuPath's GeoJSON -> nuclei: points, polygons, classes and measurements.

Coordinates are (x, y) of the slide's first level with the origin at the upper left *corner* of pixel
(0, 0), half a pixel from its centre (https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign import read_json
from napari_cosynth.geometry.outlines import Outline, outline_centroids
from napari_cosynth.layouts.nuclei import FARTHEST, Nuclei

NUCLEI = ("cell", "detection")
"""``properties.objectType`` of nuclei; beside them, annotations with an area are regions of tissue."""
_AREAS = ("Polygon", "MultiPolygon")
_POINTS = ("Point", "MultiPoint")


def read_geojson(path: str | Path) -> Nuclei:
    """The nuclei of a GeoJSON file: one per point of a (multi)point, one per (multi)polygon.

    A cell that has the outline of its nucleus is that outline. Features without a geometry, lines, and
    the annotated regions of a file with detections are left out and counted in ``notes``. Raises
    ValueError naming file and feature where something is damaged.
    """
    path = Path(path)
    features = _features(read_json(path), path)
    types = {str(_properties(f).get("objectType")) for f in features}
    detected = bool(types & set(NUCLEI))
    left_out: Counter[str] = Counter()
    found: list[tuple[npt.NDArray[np.float64] | Outline, int]] = []
    for number, feature in enumerate(features):
        where = f"{path}: feature {number}"
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            raise ValueError(f"{where}: expected a Feature, got {str(feature)[:60]}")
        geometry = feature.get("nucleusGeometry") or feature.get("geometry")
        if geometry is None:
            left_out["without a geometry"] += 1
            continue
        kind = geometry.get("type") if isinstance(geometry, dict) else None
        if kind in _AREAS:
            if detected and _properties(feature).get("objectType") not in NUCLEI:
                left_out["annotated regions beside detections"] += 1
                continue
            found.append((_outline(geometry, where), number))
        elif kind in _POINTS:
            found += [(point, number) for point in _points(geometry, where)]
        elif kind in ("LineString", "MultiLineString", "GeometryCollection"):
            left_out[f"of kind {kind}"] += 1
        else:
            raise ValueError(f"{where}: geometry: expected a GeoJSON geometry, got {kind!r}")
    areas = [shape if isinstance(shape, tuple) else ((shape[None],),) for shape, _ in found]
    names = [_class_name(features[n], f"{path}: feature {n}") for _, n in found]
    return Nuclei(
        outline_centroids(areas).reshape(-1, 2),
        tuple(names),
        str(path),
        tuple(areas) if found and all(isinstance(shape, tuple) for shape, _ in found) else None,
        _measurements([features[n] for _, n in found]),
        notes=tuple(f"{count:,} features {what}" for what, count in left_out.items()),
    )


def _features(content: Any, path: Path) -> list[Any]:
    if isinstance(content, dict) and content.get("type") == "FeatureCollection":
        content = content.get("features")
    elif isinstance(content, dict) and content.get("type") == "Feature":
        content = [content]
    if not isinstance(content, list):
        raise ValueError(f"{path}: features: expected a FeatureCollection or a list of Features")
    return content


def _properties(feature: Any) -> dict[str, Any]:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    return properties if isinstance(properties, dict) else {}


def _outline(geometry: dict[str, Any], where: str) -> Outline:
    parts = geometry.get("coordinates")
    if geometry["type"] == "Polygon":
        parts = [parts]
    if (
        not isinstance(parts, list)
        or not parts
        or not all(isinstance(p, list) and p for p in parts)
    ):
        raise ValueError(f"{where}: geometry: expected rings of coordinates, got none")
    return tuple(tuple(_positions(ring, where) for ring in part) for part in parts)


def _points(geometry: dict[str, Any], where: str) -> Iterator[npt.NDArray[np.float64]]:
    positions = geometry.get("coordinates")
    single = geometry["type"] == "Point"
    return iter(_positions([positions] if single else positions, where))


def _positions(positions: Any, where: str) -> npt.NDArray[np.float64]:
    """(y, x) with pixel centres at integers."""
    try:
        array = np.array(positions, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(0)
    if array.ndim != 2 or array.shape[1] not in (2, 3) or not len(array):
        raise ValueError(f"{where}: geometry: expected pairs of numbers, got {str(positions)[:60]}")
    if not (np.abs(array) <= FARTHEST).all():
        raise ValueError(f"{where}: geometry: expected finite numbers, got {str(positions)[:60]}")
    return np.asarray(array[:, 1::-1] - 0.5)


def _class_name(feature: dict[str, Any], where: str) -> str:
    """Empty where there is none; QuPath joins the parts of a derived class with a colon."""
    classification = _properties(feature).get("classification")
    if isinstance(classification, dict):
        names = classification.get("names")
        classification = (
            ": ".join(str(n) for n in names)
            if isinstance(names, list)
            else classification.get("name")
        )
    if classification is not None and not isinstance(classification, str):
        raise ValueError(f"{where}: classification: expected a name, got {classification!r}")
    return (classification or "").strip()


def _measurements(features: list[dict[str, Any]]) -> dict[str, npt.NDArray[np.float64]]:
    """QuPath writes a table by name; before version 0.4 a list of ``{name, value}``."""
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for row, feature in enumerate(features):
        table = _properties(feature).get("measurements")
        if isinstance(table, list):
            table = {
                str(m["name"]): m.get("value") for m in table if isinstance(m, dict) and "name" in m
            }
        for name, value in table.items() if isinstance(table, dict) else ():
            try:
                number = float(value)
            except (TypeError, ValueError, OverflowError):
                number = np.nan
            if name not in columns:
                columns[str(name)] = np.full(len(features), np.nan)
            columns[str(name)][row] = number
    return columns
