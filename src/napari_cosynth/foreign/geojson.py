"""QuPath's GeoJSON: features with their geometry, class, colour and measurements.

Coordinates are (x, y) of the slide's first level with the origin at the upper left *corner* of pixel
(0, 0), half a pixel from its centre (https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.files import read_json
from napari_cosynth.foreign.positions import read_positions

AREAS = ("Polygon", "MultiPolygon")
POINTS = ("Point", "MultiPoint")
Polygons = list[list[npt.NDArray[np.float64]]]
"""Each polygon is its outer ring and then its holes; a ring is float64 (M, 2), M >= 1, (x, y)."""
_KINDS = (*AREAS, *POINTS, "LineString", "MultiLineString", "GeometryCollection")


@dataclass(frozen=True)
class Feature:
    """One object of a file; what is damaged in it raises ValueError when it is asked for."""

    content: dict[str, Any]
    where: str
    """The file and the feature's number, for error messages."""

    @property
    def is_nucleus(self) -> bool:
        """Detections and cells are nuclei; beside them, annotations are regions of tissue."""
        return self._properties.get("objectType") in ("cell", "detection")

    @property
    def kind(self) -> str:
        """The geometry's, one of RFC 7946; empty where the feature has no geometry."""
        geometry = self._geometry
        if geometry is None:
            return ""
        kind = geometry.get("type") if isinstance(geometry, dict) else None
        if kind not in _KINDS:
            raise ValueError(f"{self.where}: geometry: expected a GeoJSON geometry, got {kind!r}")
        return str(kind)

    @property
    def polygons(self) -> Polygons:
        """Of one of the kinds :data:`AREAS`: its polygons.

        A cell that has the outline of its nucleus is that.
        """
        parts = self._geometry.get("coordinates")
        if self.kind == "Polygon":
            parts = [parts]
        if (
            not isinstance(parts, list)
            or not parts
            or not all(isinstance(part, list) and part for part in parts)
        ):
            raise ValueError(f"{self.where}: geometry: expected rings of coordinates, got none")
        return [[self._positions(ring) for ring in part] for part in parts]

    @property
    def points(self) -> npt.NDArray[np.float64]:
        """Of one of the kinds :data:`POINTS`: float64 (N, 2), N >= 1, (x, y)."""
        positions = self._geometry.get("coordinates")
        return self._positions([positions] if self.kind == "Point" else positions)

    @property
    def class_name(self) -> str:
        """Empty where there is none; QuPath joins the parts of a derived class with a colon."""
        found = self._properties.get("classification")
        if isinstance(found, dict):
            names = found.get("names")
            named = isinstance(names, list)
            name = ": ".join(map(str, names)) if named else found.get("name")  # type: ignore[arg-type]
        else:
            name = "" if found is None else found
        if not isinstance(name, str):
            raise ValueError(f"{self.where}: classification: expected a name, got {found!r}")
        return name.strip()

    @property
    def color(self) -> tuple[int, int, int] | None:
        """The class' RGB, 0..255: ``color``, or ``colorRGB`` as QuPath packed it before version 0.4."""
        found = self._properties.get("classification")
        if not isinstance(found, dict):
            return None
        color: Any = found.get("color")
        if color is None and isinstance(packed := found.get("colorRGB"), int):
            color = [(packed >> 16) & 255, (packed >> 8) & 255, packed & 255]
        valid = isinstance(color, list) and len(color) == 3
        if not valid or not all(isinstance(v, int) and 0 <= v <= 255 for v in color):
            return None
        return color[0], color[1], color[2]

    @property
    def measurements(self) -> dict[str, float]:
        """By name, NaN for what is no number; before version 0.4 QuPath wrote a list."""
        table = self._properties.get("measurements")
        if isinstance(table, list):
            table = {
                str(m["name"]): m.get("value") for m in table if isinstance(m, dict) and "name" in m
            }
        found = {}
        for name, value in table.items() if isinstance(table, dict) else ():
            try:
                found[str(name)] = float(value)
            except (TypeError, ValueError, OverflowError):
                found[str(name)] = float("nan")
        return found

    @property
    def _properties(self) -> dict[str, Any]:
        properties = self.content.get("properties")
        return properties if isinstance(properties, dict) else {}

    @property
    def _geometry(self) -> Any:
        return self.content.get("nucleusGeometry") or self.content.get("geometry")

    def _positions(self, values: Any) -> npt.NDArray[np.float64]:
        return read_positions(values, f"{self.where}: geometry", (2, 3))


def read_features(path: Path) -> list[Feature]:
    """The features of a FeatureCollection, a bare list of features or a single one.

    Raises ValueError naming the file, and the feature that is none.
    """
    content = read_json(path)
    if isinstance(content, dict):
        content = [content] if content.get("type") == "Feature" else content.get("features")
    if not isinstance(content, list):
        raise ValueError(f"{path}: features: expected a FeatureCollection or a list of Features")
    for number, feature in enumerate(content):
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            got = str(feature)[:60]
            raise ValueError(f"{path}: feature {number}: expected a Feature, got {got}")
    return [Feature(feature, f"{path}: feature {n}") for n, feature in enumerate(content)]
