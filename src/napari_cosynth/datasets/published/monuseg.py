"""MoNuSeg and MoNuSAC as published: TIFF tiles with outlines in Aperio's XML, or in ASAP's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.outline_xml import is_outline_xml, read_outlines
from napari_cosynth.geometry.polygons import filled
from napari_cosynth.io.listing import IMAGE_SUFFIXES, by_name, files_in, partners
from napari_cosynth.records.base import NamedRecords, Parts
from napari_cosynth.slides.files import read_rgb, read_tissues, select
from napari_cosynth.types import ClassTable

logger = logging.getLogger(__name__)

ASSUMED_MPP = 0.25
NEAR = 0.02
"""Relative difference from 0.25 µm/px below which a tile counts as 0.25; all MoNuSeg tiles do."""


class MonusegDataset(NamedRecords):
    """The archive unpacked anywhere below ``root`` (docs/formats/monuseg.md).

    ``NAME.tif`` is uint8 (H, W, 3). ``NAME.xml`` holds ``Regions/Region/Vertices/Vertex`` with ``X`` and
    ``Y`` in pixels from the corner of the top left pixel, or ASAP's ``Coordinate``. Classes are those
    that the files name, sorted, as in MoNuSAC; nuclei without a class, as in MoNuSeg, get
    ``class_name``. Holes (``NegativeROA``) are cut out. Where two nuclei overlap, the first wins, as in
    the organisers' own conversion. µm/px is ``mpp``, else ``MicronsPerPixel``, else :data:`ASSUMED_MPP`.
    ``tissues`` names a JSON file below ``root`` that maps names to organs.
    """

    def __init__(
        self,
        root: str | Path,
        mpp: float | None = None,
        tissue: str = "",
        tissues: str | None = None,
        class_name: str = "unspecified",
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        self._mpp = mpp
        self._class_name = class_name
        self._outlines = by_name(_annotations(self.root))
        images = files_in(self.root, IMAGE_SUFFIXES, below=True)
        self._images = partners(self._outlines, images)
        missing = sorted(set(self._outlines) - set(self._images))
        if missing:
            raise ValueError(f"{self._outlines[missing[0]]}: no image is called {missing[0]!r}")
        self.names = tuple(select(self._outlines, only, without, self.root))
        found: set[str] = set()
        self.mpp_stated = True
        for name in self.names:
            outlines = read_outlines(self._outlines[name])
            found |= {region.class_name or class_name for region in outlines.regions}
            self.mpp_stated &= mpp is not None or outlines.mpp is not None
        self.classes = ClassTable.of(*(sorted(found) or [class_name]))
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
        path = self._outlines[name]
        outlines = read_outlines(path)
        instances, labels = np.zeros(shape, np.int32), np.zeros(shape, np.uint8)
        hidden, cut = 0, np.zeros(0, bool)
        holes: tuple[npt.NDArray[np.float64], ...] = ()
        for index, region in enumerate(outlines.regions, start=1):
            mask, (y, x) = filled([[region.outline]], shape)
            part = np.s_[y : y + mask.shape[0], x : x + mask.shape[1]]
            if region.holes is not holes:  # all regions of an annotation have the same ones
                holes = region.holes
                cut = _covered(holes, shape)
            if holes:
                mask &= ~cut[part]
            free = mask & (instances[part] == 0)
            instances[part][free] = index
            labels[part][free] = self.classes.index(region.class_name or self._class_name)
            hidden += not free.any()
        outlines.left_out["regions that cover no pixel"] += hidden
        said = [f"{count} {what}" for what, count in outlines.left_out.items() if count]
        if said:
            logger.warning("%s: left out: %s", path, ", ".join(said))
        return Parts(
            image,
            instances,
            labels,
            self._mpp or _usual(outlines.mpp) or ASSUMED_MPP,
            self.tissue_of(name),
            str(self._images[name]),
            labelled=str(path),
        )


def _covered(
    outlines: Sequence[npt.NDArray[np.float64]], shape: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """The pixels (H, W) that lie in any of some outlines."""
    whole = np.zeros(shape, bool)
    for outline in outlines:
        mask, (y, x) = filled([[outline]], shape)
        whole[y : y + mask.shape[0], x : x + mask.shape[1]] |= mask
    return whole


def _annotations(root: Path) -> list[Path]:
    """The XML files in a folder or below it that begin like Aperio's or ASAP's.

    Raises ValueError if there are none.
    """
    found = []
    for path in files_in(root, (".xml",), below=True):
        with path.open("rb") as handle:
            if is_outline_xml(handle.read(2000)):
                found.append(path)
    if not found:
        raise ValueError(f"{root}: no .xml file in it or below has Annotations")
    return found


def _usual(mpp: float | None) -> float | None:
    return ASSUMED_MPP if mpp and abs(mpp / ASSUMED_MPP - 1) < NEAR else mpp
