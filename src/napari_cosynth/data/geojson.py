"""QuPath's GeoJSON beside the images it was drawn on (docs/formats/geojson.md)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.data.base import NamedRecords, Parts
from napari_cosynth.data.files import (
    IMAGE_SUFFIXES,
    files_below,
    first_below,
    read_json,
    read_rgb,
    select,
)
from napari_cosynth.data.sidecar import read_sidecar
from napari_cosynth.data.slide import open_slide
from napari_cosynth.geometry.polygons import filled
from napari_cosynth.types import BACKGROUND, ClassTable, default_palette

logger = logging.getLogger(__name__)

ASSUMED_MPP = 0.25
UNCLASSIFIED = "unspecified"
_SUFFIXES = (*IMAGE_SUFFIXES, ".svs")
Rings = list[npt.NDArray[np.float64]]


class GeoJsonDataset(NamedRecords):
    """``NAME.geojson`` and ``NAME.tif`` (or another image), anywhere below ``root``.

    Features as QuPath writes them, in a FeatureCollection or a bare list: ``geometry`` a Polygon or
    MultiPolygon in full-resolution pixels from the *corner* of the top left one, with holes; cells count
    by their ``nucleusGeometry``. Detections and cells are nuclei; where there are none, annotations are.
    A file's own µm/px goes before ``mpp``'s default, and ``mpp`` before it. Classes are
    ``class_names``, else those that occur, sorted, in QuPath's colours.
    """

    def __init__(
        self,
        root: str | Path,
        mpp: float | None = None,
        tissue: str = "",
        class_names: Sequence[str] = (),
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        if self.root.is_file():
            only, self.root = (self.root.stem,), self.root.parent
        self.own = read_sidecar(self.root, "geojson")
        self.mpp, self.tissue = mpp, tissue
        self._files = files_below(self.root, (".geojson",))
        self._images = files_below(self.root, _SUFFIXES)
        self.names = tuple(select(self._files, only, without, self.root))
        for name in self.names:
            if name not in self._images:
                raise ValueError(f"{self._files[name]}: no image is called {name!r}")
        if self.own:
            self.classes = self.own.classes
        elif class_names:
            self.classes = ClassTable.of(*class_names)
        else:
            self.classes = self._classes_that_occur()
        first = self._images[self.names[0]]
        self.mpp_stated = bool(mpp or self.own or _image(first)[1])

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return root.suffix == ".geojson" or first_below(root, ".geojson") is not None

    def tissue_of(self, name: str) -> str:
        return self.own_text(name, "tissue", self.tissue)

    def parts(self, name: str) -> Parts:
        path = self._files[name]
        image, stated = _image(self._images[name])
        shape = (image.shape[0], image.shape[1])
        instances, labels = np.zeros(shape, np.int32), np.zeros(shape, np.uint8)
        lost = 0
        for index, (where, polygons, label, _) in enumerate(_nuclei(path), start=1):
            try:
                class_id = self.classes.index(label)
            except ValueError as error:
                raise ValueError(f"{where}: classification: {error}") from None
            mask, (y, x) = filled(polygons, shape)
            window = np.s_[y : y + mask.shape[0], x : x + mask.shape[1]]
            instances[window][mask] = index
            labels[window][mask] = class_id
            lost += not mask.any()
        if lost:
            logger.warning("%s: %d objects cover no pixel", path, lost)
        own = self.own.mpp if self.own else None
        return Parts(
            image,
            instances,
            labels,
            self.mpp or own or stated or ASSUMED_MPP,
            self.tissue_of(name),
            str(self._images[name]),
            self.own_text(name, "stain", "H&E"),
        )

    def _classes_that_occur(self) -> ClassTable:
        colors: dict[str, tuple[int, int, int] | None] = {}
        for name in self.names:
            for _, _, label, color in _nuclei(self._files[name]):
                colors[label] = colors.get(label) or color
        names = (BACKGROUND, *sorted(colors)) if colors else (BACKGROUND, UNCLASSIFIED)
        table = default_palette(len(names))
        for index, name in enumerate(names):
            if found := colors.get(name):
                table[index] = found
        try:
            return ClassTable(names, table)
        except ValueError as error:
            raise ValueError(f"{self.root}: {error}") from None


def _image(path: Path) -> tuple[npt.NDArray[np.uint8], float | None]:
    """An image, uint8 (H, W, 3), and its µm/px where the file tells."""
    if path.suffix.lower() not in (".tif", ".tiff", ".svs"):
        return read_rgb(path), None
    slide = open_slide(path)
    image = np.asarray(slide.levels[0])
    if image.ndim == 2:
        image = np.stack([image] * 3, -1)
    return np.ascontiguousarray(image), slide.mpp


_Nucleus = tuple[str, list[Rings], str, tuple[int, int, int] | None]
"""Where it stands, polygons, class, colour."""


def _nuclei(path: Path) -> Iterator[_Nucleus]:
    """The nuclei of a file. Raises ValueError naming file and feature."""
    content = read_json(path)
    features = content.get("features") if isinstance(content, dict) else content
    if not isinstance(features, list) or not all(isinstance(f, dict) for f in features):
        raise ValueError(f"{path}: features: expected a FeatureCollection or a list of features")
    kinds = [_properties(f).get("objectType") for f in features]
    nuclear = any(kind in ("detection", "cell") for kind in kinds)
    shapeless = 0
    for number, (feature, kind) in enumerate(zip(features, kinds, strict=True)):
        if nuclear and kind not in ("detection", "cell"):
            continue
        where = f"{path}: feature {number}"
        geometry = feature.get("nucleusGeometry") or feature.get("geometry")
        if not isinstance(geometry, dict):
            raise ValueError(f"{where}: geometry: expected an object, got {geometry!r}")
        if geometry.get("type") not in ("Polygon", "MultiPolygon"):
            shapeless += 1
            continue
        yield (where, _polygons(geometry, where), *_class(feature, where))
    if shapeless:
        logger.warning("%s: %d points and lines are no nuclei and are left out", path, shapeless)


def _properties(feature: dict[str, Any]) -> dict[str, Any]:
    properties = feature.get("properties")
    return properties if isinstance(properties, dict) else {}


def _polygons(geometry: dict[str, Any], where: str) -> list[Rings]:
    listed = geometry.get("coordinates")
    if geometry["type"] == "Polygon":
        listed = [listed]
    try:
        polygons = [
            [np.array([p[:2] for p in ring], np.float64).reshape(-1, 2) for ring in rings]
            for rings in listed  # type: ignore[union-attr]
        ]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: coordinates: expected rings of (x, y) ({error})") from None
    rings = [ring for rings in polygons for ring in rings]
    if not rings or any(len(r) < 3 or not np.isfinite(r).all() for r in rings):
        raise ValueError(f"{where}: coordinates: expected rings of three or more finite points")
    return polygons


def _class(feature: dict[str, Any], where: str) -> tuple[str, tuple[int, int, int] | None]:
    """The class and its colour; ``color`` as [r, g, b], or ``colorRGB`` as older QuPath packs it."""
    found = _properties(feature).get("classification")
    if found is None:
        return UNCLASSIFIED, None
    if isinstance(found, dict) and isinstance(names := found.get("names"), list):
        found = {"name": ": ".join(map(str, names)), **found}
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        raise ValueError(f"{where}: classification: expected a name, got {found!r}")
    color: Any = found.get("color")
    if color is None and isinstance(packed := found.get("colorRGB"), int):
        color = [(packed >> 16) & 255, (packed >> 8) & 255, packed & 255]
    valid = isinstance(color, list) and len(color) == 3
    if not valid or not all(isinstance(v, int) and 0 <= v <= 255 for v in color):
        return found["name"], None
    return found["name"], (color[0], color[1], color[2])
