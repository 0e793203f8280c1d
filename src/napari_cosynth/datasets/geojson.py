"""QuPath's GeoJSON files beside the images they were drawn on (docs/formats/geojson.md)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cosynth.datasets.slide_parts import WHOLE, annotated_parts, reaching
from napari_cosynth.foreign.geojson_nuclei import Nucleus, read_nuclei
from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.polygons import filled
from napari_cosynth.io.listing import (
    IMAGE_SUFFIXES,
    by_name,
    files_in,
    first_below,
    name_of,
    partners,
    without_ending,
)
from napari_cosynth.records.base import NamedRecords, Parts
from napari_cosynth.records.sidecar import read_sidecar
from napari_cosynth.slides.files import read_rgb, select
from napari_cosynth.slides.slide import open_slide
from napari_cosynth.slides.tiff_slide import pixels_of
from napari_cosynth.types import BACKGROUND, H_AND_E, ClassTable, default_palette

logger = logging.getLogger(__name__)

ASSUMED_MPP = 0.25
UNCLASSIFIED = "unspecified"
_FEATURES = (".geojson", ".geojson.gz")
_SLIDES = (".tif", ".tiff", ".svs", ".ndpi", ".scn", ".mrxs")
"""Endings that ``slides.slide`` reads; images of other endings state no µm/px."""


class GeoJsonDataset(NamedRecords):
    """``NAME.geojson`` with ``NAME.tif`` (or another image, or a slide), anywhere below ``root``.

    A file may also have the image's full name, ``NAME.svs.geojson``, as QuPath writes it, and be gzipped.

    It holds QuPath's features, in a FeatureCollection or a bare list. Their ``geometry`` is a Polygon or
    MultiPolygon, with holes, in full-resolution pixels from the *corner* of the top left pixel; cells
    count by their ``nucleusGeometry``. ``foreign.geojson_nuclei`` decides which objects are nuclei.
    µm/px is ``mpp``, else what our export or the image states, else :data:`ASSUMED_MPP`. Classes are
    ``class_names``, else those that occur, sorted, in QuPath's colours.

    A slide of more than ``slide_parts.WHOLE`` pixels has a record for each annotated part, named
    ``NAME_y_x`` after the corner of its square. Nothing else of the slide is read.
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
        for name, path in self._files.items():
            if name not in self._images and (not only or name in only) and name not in without:
                raise ValueError(f"{path}: no image is called {name!r}")
        self._parts = self._places()
        self.names = tuple(select(self._parts, only, without, self.root))
        if self.own:
            self.classes = self.own.classes
        elif class_names:
            self.classes = ClassTable.of(*class_names)
        else:
            self.classes = self._classes_that_occur()
        self.mpp_stated = bool(mpp or self.own or self._read(self.names[0])[1])

    @classmethod
    def recognises(cls, root: Path) -> bool:
        if root.is_file():
            return root.name.lower().endswith(_FEATURES)
        return any(first_below(root, ending) for ending in _FEATURES)

    def tissue_of(self, name: str) -> str:
        return self.own_text(name, "tissue", self.tissue)

    def slide_of(self, name: str) -> str | None:
        return super().slide_of(self._parts[name][0])

    def parts(self, name: str) -> Parts:
        whole, part = self._parts[name]
        path = self._files[whole]
        image, stated = self._read(name)
        shape = (image.shape[0], image.shape[1])
        instances, labels = np.zeros(shape, np.int32), np.zeros(shape, np.uint8)
        drawn = _drawn(path) if part is None else _kept(path, path.stat().st_mtime_ns)
        corner = np.zeros(2)
        chosen: Iterable[int] = range(len(drawn.nuclei))
        if part is None:
            _say(path, drawn)
        else:
            corner = np.array([part.x0, part.y0], np.float64)
            chosen = reaching(drawn.boxes, part).tolist()
        lost = 0
        for index, nucleus in enumerate((drawn.nuclei[row] for row in chosen), start=1):
            feature = nucleus.feature
            try:
                class_id = self.classes.index(feature.class_name or UNCLASSIFIED)
            except ValueError as error:
                raise ValueError(f"{feature.where}: classification: {error}") from None
            polygons = [[ring - corner for ring in rings] for rings in nucleus.polygons]
            mask, (y, x) = filled(polygons, shape)
            window = np.s_[y : y + mask.shape[0], x : x + mask.shape[1]]
            instances[window][mask] = index
            labels[window][mask] = class_id
            lost += not mask.any()
        if lost and part is None:  # a nucleus that only touches a part belongs to the next one
            logger.warning("%s: %d objects cover no pixel", path, lost)
        own = self.own.mpp if self.own else None
        return Parts(
            image,
            instances,
            labels,
            self.mpp or own or stated or ASSUMED_MPP,
            self.tissue_of(name),
            str(self._images[whole]),
            self.own_text(name, "stain", H_AND_E),
        )

    def _places(self) -> dict[str, tuple[str, Box | None]]:
        """Name of a record -> name of its file, and its part of the image; None for the whole image."""
        found: dict[str, tuple[str, Box | None]] = {}
        for name in self._files:
            path = self._images.get(name)
            if (
                path is None
                or self.own
                or path.suffix.lower() not in _SLIDES
                or not _is_large(path)
            ):
                found[name] = name, None
                continue
            drawn = _drawn(self._files[name])
            _say(self._files[name], drawn)
            parts = annotated_parts(
                drawn.boxes, open_slide(path, overview=False).levels[0].shape[:2]
            )
            found |= {f"{name}_{y}_{x}": (name, part) for (y, x), part in parts.items()}
            if not parts:
                logger.warning("%s: no nucleus on %s: left out", self._files[name], path)
        return found

    def _read(self, name: str) -> tuple[npt.NDArray[np.uint8], float | None]:
        """A record's image, uint8 (H, W, 3), and its µm/px, None if the file does not state it."""
        whole, part = self._parts[name]
        path = self._images[whole]
        if path.suffix.lower() not in _SLIDES:
            return read_rgb(path), None
        slide = open_slide(path, overview=False)
        level = slide.levels[0]
        image = np.asarray(level if part is None else level[part.slices])
        if image.ndim == 2:
            image = np.stack([image] * 3, -1)
        return np.ascontiguousarray(image), slide.mpp

    def _classes_that_occur(self) -> ClassTable:
        colors: dict[str, tuple[int, int, int] | None] = {}
        for name in dict.fromkeys(self._parts[name][0] for name in self.names):
            for nucleus in _drawn(self._files[name]).nuclei:
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
    """The files by the name of their image, ``a`` for ``a.svs.geojson``, unless two would share it."""
    plain = [without_ending(name_of(path)) for path in files]
    alone = {name for name in plain if plain.count(name) == 1}

    def name(path: Path) -> str:
        short = without_ending(name_of(path))
        return short if short in alone else name_of(path)

    return by_name(files, name)


def _is_large(path: Path) -> bool:
    """Whether a slide has more pixels than a record should."""
    try:
        return pixels_of(path) > WHOLE
    except ValueError:  # no TIFF, or one that only OpenSlide reads
        height, width = open_slide(path, overview=False).levels[0].shape[:2]
        return bool(height * width > WHOLE)


@dataclass(frozen=True)
class _Drawn:
    """The drawn nuclei of a file."""

    nuclei: list[Nucleus]
    """Nuclei that have an area."""
    boxes: npt.NDArray[np.float64]
    """Their boxes (y0, x0, y1, x1) in pixels, float64 (N, 4)."""
    notes: tuple[str, ...]
    """One-line notes on what was left out."""


def _drawn(path: Path) -> _Drawn:
    found, notes = read_nuclei(path)
    areas = [nucleus for nucleus in found if nucleus.polygons]
    if shapeless := len(found) - len(areas):
        notes = (*notes, f"left out: {shapeless:,} points, which cover no pixels")
    boxes = np.zeros((len(areas), 4))
    for row, nucleus in enumerate(areas):
        corners = np.concatenate([polygon[0] for polygon in nucleus.polygons])[:, ::-1]
        boxes[row] = *corners.min(0), *corners.max(0)
    return _Drawn(areas, boxes, notes)


@lru_cache(maxsize=1)
def _kept(path: Path, modified: int) -> _Drawn:
    """The drawn nuclei of a slide, cached while its parts are read one after the other."""
    return _drawn(path)


def _say(path: Path, drawn: _Drawn) -> None:
    for note in drawn.notes:
        logger.warning("%s: %s", path, note)
