"""QuPath's GeoJSON beside the images it was drawn on (docs/formats/geojson.md)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cosynth.data.base import NamedRecords, Parts
from napari_cosynth.data.files import read_rgb, select
from napari_cosynth.data.listing import (
    IMAGE_SUFFIXES,
    by_name,
    files_in,
    first_below,
    name_of,
    partners,
    without_ending,
)
from napari_cosynth.data.sidecar import read_sidecar
from napari_cosynth.data.slide import open_slide
from napari_cosynth.foreign.geojson_nuclei import Nucleus, read_nuclei
from napari_cosynth.geometry.polygons import filled
from napari_cosynth.types import BACKGROUND, H_AND_E, ClassTable, default_palette

logger = logging.getLogger(__name__)

ASSUMED_MPP = 0.25
UNCLASSIFIED = "unspecified"
_FEATURES = (".geojson", ".geojson.gz")
_SLIDES = (".tif", ".tiff", ".svs", ".ndpi", ".scn", ".mrxs")
"""What ``data.slide`` reads; other images have no µm/px."""


class GeoJsonDataset(NamedRecords):
    """``NAME.geojson`` and ``NAME.tif`` (or another image, or slide), anywhere below ``root``.

    A file may also be called as QuPath calls the image, ``NAME.svs.geojson``, and be gzipped.

    Features as QuPath writes them, in a FeatureCollection or a bare list: ``geometry`` a Polygon or
    MultiPolygon in full-resolution pixels from the *corner* of the top left one, with holes; cells count
    by their ``nucleusGeometry``. Which objects are nuclei ``foreign.geojson_nuclei`` says.
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
        files = [self.root] if self.root.is_file() else files_in(self.root, _FEATURES, below=True)
        if self.root.is_file():
            self.root = self.root.parent
        self.own = read_sidecar(self.root, "geojson")
        self.mpp, self.tissue = mpp, tissue
        self._files = _named(files)
        images = files_in(self.root, (*IMAGE_SUFFIXES, *_SLIDES), below=True)
        self._images = partners(self._files, images)
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
        if root.is_file():
            return root.name.lower().endswith(_FEATURES)
        return any(first_below(root, ending) for ending in _FEATURES)

    def tissue_of(self, name: str) -> str:
        return self.own_text(name, "tissue", self.tissue)

    def parts(self, name: str) -> Parts:
        path = self._files[name]
        image, stated = _image(self._images[name])
        shape = (image.shape[0], image.shape[1])
        instances, labels = np.zeros(shape, np.int32), np.zeros(shape, np.uint8)
        lost = 0
        found, notes = _areas(path)
        for note in notes:
            logger.warning("%s: %s", path, note)
        for index, nucleus in enumerate(found, start=1):
            feature = nucleus.feature
            try:
                class_id = self.classes.index(feature.class_name or UNCLASSIFIED)
            except ValueError as error:
                raise ValueError(f"{feature.where}: classification: {error}") from None
            mask, (y, x) = filled(nucleus.polygons, shape)
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
            self.own_text(name, "stain", H_AND_E),
        )

    def _classes_that_occur(self) -> ClassTable:
        colors: dict[str, tuple[int, int, int] | None] = {}
        for name in self.names:
            for nucleus in _areas(self._files[name])[0]:
                label = nucleus.feature.class_name or UNCLASSIFIED
                colors[label] = colors.get(label) or nucleus.feature.color
        names = (BACKGROUND, *sorted(colors)) if colors else (BACKGROUND, UNCLASSIFIED)
        table = default_palette(len(names))
        for index, name in enumerate(names):
            if found := colors.get(name):
                table[index] = found
        try:
            return ClassTable(names, table)
        except ValueError as error:
            raise ValueError(f"{self.root}: {error}") from None


def _named(files: Sequence[Path]) -> dict[str, Path]:
    """The files by name: that of their image, ``a`` of ``a.svs.geojson``, unless two would have it."""
    plain = [without_ending(name_of(path)) for path in files]
    alone = {name for name in plain if plain.count(name) == 1}

    def name(path: Path) -> str:
        short = without_ending(name_of(path))
        return short if short in alone else name_of(path)

    return by_name(files, name)


def _image(path: Path) -> tuple[npt.NDArray[np.uint8], float | None]:
    """An image, uint8 (H, W, 3), and its µm/px where the file tells."""
    if path.suffix.lower() not in _SLIDES:
        return read_rgb(path), None
    slide = open_slide(path)
    image = np.asarray(slide.levels[0])
    if image.ndim == 2:
        image = np.stack([image] * 3, -1)
    return np.ascontiguousarray(image), slide.mpp


def _areas(path: Path) -> tuple[list[Nucleus], tuple[str, ...]]:
    """The nuclei of a file that have an area, and notes on the others, a line each."""
    found, notes = read_nuclei(path)
    areas = [nucleus for nucleus in found if nucleus.polygons]
    if shapeless := len(found) - len(areas):
        notes = (*notes, f"left out: {shapeless:,} points, which cover no pixels")
    return areas, notes
