"""GeoJSON of QuPath, CellViT and TIAToolbox: features with geometry, class and measurements.

Coordinates are (x, y) in pixels of the slide's first level. The origin is the upper left *corner* of
pixel (0, 0), half a pixel from its centre
(https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.files import read_json
from napari_cosynth.foreign.positions import read_positions
from napari_cosynth.io.errors import shown

AREAS = ("Polygon", "MultiPolygon")
POINTS = ("Point", "MultiPoint")
Polygon = list[npt.NDArray[np.float64]]
"""The outer ring, then the holes; a ring is float64 (M, 2), M >= 1, (x, y)."""
_KINDS = (*AREAS, *POINTS, "LineString", "MultiLineString", "GeometryCollection")
_OBJECTS = {
    **{name: name for name in ("annotation", "cell", "detection", "tile", "root")},
    **dict.fromkeys(("tmaCore", "tma_core"), "tma core"),
}
"""QuPath's object types in its spellings -> our names."""
_FIRST_OBJECTS = {
    **{f"Path{name.title()}Object": name for name in _OBJECTS.values() if name != "tma core"},
    "TMACoreObject": "tma core",
}
"""Object types in the spelling of QuPath 0.2."""
_OBJECT_NAMES = _OBJECTS | _FIRST_OBJECTS
_CLASS_KEYS = ("type", "class", "class_name", "cell_type")
"""Properties that name a class without ``classification``: TIAToolbox's, then those of scripts."""


@dataclass(frozen=True)
class Feature:
    """One object of a file. Reading a damaged part of it raises ValueError."""

    content: dict[str, Any]
    where: str
    """The file and the feature's number, for error messages."""
    parent: Feature | None = None
    """The feature that lists it as a child."""

    @cached_property
    def object_type(self) -> str:
        """``annotation``, ``cell``, ``detection``, ``tile``, ``tma core`` or ``root``; else empty.

        QuPath has written it as ``objectType``, as ``object_type`` and, until version 0.2, as the
        feature's ``id``. QuPath also reads ``type``, which holds a class in files of other programs.
        """
        for key in ("objectType", "object_type", "type"):
            if isinstance(value := self._properties.get(key), str) and value in _OBJECT_NAMES:
                return _OBJECT_NAMES[value]
        first = self.content.get("id")
        return _FIRST_OBJECTS.get(first, "") if isinstance(first, str) else ""

    @property
    def is_nucleus(self) -> bool:
        """Whether it is a detection or a cell; beside those, annotations are regions of tissue."""
        return self.object_type in ("cell", "detection")

    @property
    def children(self) -> list[Any]:
        """Its children in QuPath's hierarchy, unchecked."""
        for holder in (self._properties, self.content):
            for key in ("childObjects", "children"):
                found = holder.get(key)
                if isinstance(found, dict):
                    found = found.get("features")
                if isinstance(found, list) and found:
                    return found
        return []

    @property
    def kind(self) -> str:
        """The geometry's type, one of RFC 7946; empty if there is no geometry.

        Raises ValueError for any other type.
        """
        geometry = self._geometry
        if geometry is None:
            return ""
        kind = geometry.get("type") if isinstance(geometry, dict) else None
        if kind not in _KINDS:
            raise ValueError(
                f"{self.where}: geometry: expected a GeoJSON geometry, got {shown(kind)}"
            )
        return str(kind)

    def polygons(self) -> Iterator[Polygon | ValueError]:
        """The polygons of the geometry or collection; a damaged polygon is yielded as its ValueError.

        A cell is represented by the outline of its nucleus if it has one. Holes without an area are
        dropped.
        """
        geometry = self._geometry
        parts = [geometry]
        if self.kind == "GeometryCollection":
            listed = geometry.get("geometries")
            parts = listed if isinstance(listed, list) else []
        for part in parts:
            kind = part.get("type") if isinstance(part, dict) else None
            if kind not in AREAS:
                continue
            polygons = part.get("coordinates")
            if kind == "Polygon":
                polygons = [polygons]
            if not isinstance(polygons, list) or not polygons:
                yield self._error("expected rings of coordinates, got none")
                continue
            for polygon in polygons:
                yield self._polygon(polygon)

    def _polygon(self, rings: Any) -> Polygon | ValueError:
        if not isinstance(rings, list) or not rings:
            return self._error("expected rings of coordinates, got none")
        try:
            outer, *holes = [self._positions(ring) for ring in rings if ring or ring is rings[0]]
        except ValueError as error:
            return error
        if not _has_area(outer):
            return self._error("expected rings of three or more points")
        return [outer, *(hole for hole in holes if _has_area(hole))]

    @property
    def points(self) -> npt.NDArray[np.float64]:
        """Positions of a geometry of :data:`POINTS`, float64 (N, 2), N >= 1, (x, y)."""
        positions = self._geometry.get("coordinates")
        return self._positions([positions] if self.kind == "Point" else positions)

    @property
    def class_name(self) -> str:
        """The class, empty if there is none.

        The parts of a derived class are joined with a colon, as in QuPath. A class that is a number,
        such as HoVer-Net's 3, is named ``type 3``. Raises ValueError if ``classification`` is no name.
        """
        found = self._properties.get("classification")
        if found is None:
            return self._other_class()
        if isinstance(found, dict):
            names = found.get("names")
            named = isinstance(names, list)
            if not named and "name" in found and found["name"] is None:
                return self._other_class()
            found = ": ".join(map(str, names)) if named else found.get("name")  # type: ignore[arg-type]
        if not isinstance(found, str):
            got = self._properties["classification"]
            raise ValueError(f"{self.where}: classification: expected a name, got {shown(got)}")
        return found.strip()

    def _other_class(self) -> str:
        for key in _CLASS_KEYS:
            found = self._properties.get(key)
            if isinstance(found, int) and not isinstance(found, bool):
                return f"type {found}"
            if isinstance(found, str) and not (key == "type" and found in _OBJECT_NAMES):
                return found.strip()
        return ""

    @property
    def color(self) -> tuple[int, int, int] | None:
        """RGB of the class, 0..255, None if there is none.

        It is ``color``, or ``colorRGB``, which QuPath packed into one number before version 0.4.
        """
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
        """Measurements by name, NaN for a value that is no number.

        QuPath wrote them as a list before version 0.4.
        """
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

    def _error(self, reason: str) -> ValueError:
        return ValueError(f"{self.where}: geometry: {reason}")


def read_features(path: Path) -> list[Feature]:
    """The features of a file, each followed by its children.

    The file holds a FeatureCollection, a bare list of features or a single feature. Raises ValueError
    naming the file, and the entry that is no feature.
    """
    content = read_json(path)
    if isinstance(content, dict):
        content = [content] if content.get("type") == "Feature" else content.get("features")
    if not isinstance(content, list):
        raise ValueError(f"{path}: features: expected a FeatureCollection or a list of Features")
    found = []
    waiting: list[tuple[Any, str, Feature | None]] = [
        (entry, f"{path}: feature {number}", None)
        for number, entry in reversed(list(enumerate(content)))
    ]
    while waiting:
        entry, where, parent = waiting.pop()
        if not isinstance(entry, dict) or entry.get("type") != "Feature":
            raise ValueError(f"{where}: expected a Feature, got {shown(entry)}")
        feature = Feature(entry, where, parent)
        found.append(feature)
        waiting += [
            (child, f"{where}: child {number}", feature)
            for number, child in enumerate(feature.children)
        ][::-1]
    return found


def _has_area(ring: npt.NDArray[np.float64]) -> bool:
    """Whether a ring has three or more different points; a closed ring repeats its first."""
    return len(ring) >= 3 and len(np.unique(ring, axis=0)) >= 3
