"""MoNuSeg (Kumar et al. 2017, 2020) as published: TIFF tiles with outlines in Aperio's XML."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from napari_cosynth.data.base import NamedRecords, Parts
from napari_cosynth.data.files import read_rgb, read_tissues, select
from napari_cosynth.data.listing import IMAGE_SUFFIXES, by_name, files_in, partners
from napari_cosynth.geometry.polygons import filled
from napari_cosynth.types import ClassTable

logger = logging.getLogger(__name__)


class MonusegDataset(NamedRecords):
    """The archive unpacked anywhere below ``root`` (docs/formats/monuseg.md).

    ``Tissue Images/NAME.tif`` uint8 (1000, 1000, 3) at 0.25 µm/px and ``Annotations/NAME.xml`` with
    ``Regions/Region/Vertices/Vertex``, attributes ``X`` and ``Y`` in pixels from the corner of the top
    left one. Nuclei have no classes: all get one, ``class_name``. Where two overlap, the first holds,
    as in the organisers' own conversion. ``tissues`` names a JSON file below ``root`` that maps names to
    organs.
    """

    def __init__(
        self,
        root: str | Path,
        mpp: float = 0.25,
        tissue: str = "",
        tissues: str | None = None,
        class_name: str = "unspecified",
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        self.mpp = mpp
        self.classes = ClassTable.of(class_name)
        self._outlines = by_name(_annotations(self.root))
        images = files_in(self.root, IMAGE_SUFFIXES, below=True)
        self._images = partners(self._outlines, images)
        missing = sorted(set(self._outlines) - set(self._images))
        if missing:
            raise ValueError(f"{self._outlines[missing[0]]}: no image is called {missing[0]!r}")
        self.names = tuple(select(self._outlines, only, without, self.root))
        self._tissues = dict.fromkeys(self.names, tissue)
        if tissues is not None:
            self._tissues = read_tissues(self.root / tissues, self.names)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        try:
            return bool(_annotations(root))
        except ValueError:
            return False

    def tissue_of(self, name: str) -> str:
        return self._tissues[name]

    def parts(self, name: str) -> Parts:
        image = read_rgb(self._images[name])
        shape = (image.shape[0], image.shape[1])
        regions = read_regions(self._outlines[name])
        instances = np.zeros(shape, np.int32)
        hidden = 0
        for index, region in enumerate(regions, start=1):
            mask, (y, x) = filled([[region]], shape)
            window = instances[y : y + mask.shape[0], x : x + mask.shape[1]]
            free = mask & (window == 0)
            window[free] = index
            hidden += not free.any()
        if hidden:
            logger.warning("%s: %d regions cover no pixel", self._outlines[name], hidden)
        return Parts(
            image,
            instances,
            (instances > 0).astype(np.uint8),
            self.mpp,
            self.tissue_of(name),
            str(self._images[name]),
        )


def _annotations(root: Path) -> list[Path]:
    """The XML files of a folder or below that begin as Aperio's do. Raises ValueError if none does."""
    found = []
    for path in files_in(root, (".xml",), below=True):
        with path.open("rb") as handle:
            if b"<Annotations" in handle.read(2000):
                found.append(path)
    if not found:
        raise ValueError(f"{root}: no .xml file in it or below has Annotations")
    return found


def read_regions(path: Path) -> list[npt.NDArray[np.float64]]:
    """The outlines of an Aperio XML, float64 (N, 2) of (x, y) each. Raises ValueError naming the region.

    Regions of fewer than three vertices, slips of the mouse, are left out and counted in a warning.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise ValueError(f"{path}: cannot be read as XML ({error})") from None
    found, slips = [], 0
    for number, region in enumerate(root.iterfind(".//Region"), start=1):
        try:
            points = [
                (float(vertex.attrib["X"]), float(vertex.attrib["Y"]))
                for vertex in region.iterfind("./Vertices/Vertex")
            ]
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{path}: region {number}: expected vertices with X and Y ({error})"
            ) from None
        outline = np.array(points, np.float64).reshape(-1, 2)
        if not np.isfinite(outline).all():
            raise ValueError(f"{path}: region {number}: expected finite coordinates")
        if len(outline) < 3:
            slips += 1
        else:
            found.append(outline)
    if slips:
        logger.warning("%s: %d regions of fewer than three vertices are left out", path, slips)
    return found
