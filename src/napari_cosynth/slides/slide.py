"""Opens a slide of any kind: TIFF by tifffile, OME-Zarr by zarr, DICOM and what is left by OpenSlide."""

from __future__ import annotations

import logging
from pathlib import Path

from napari_cosynth.io.listing import IMAGE_SUFFIXES
from napari_cosynth.io.tiff import DamagedTiffError
from napari_cosynth.slides.dicom_slide import dicom_in, is_dicom, open_dicom
from napari_cosynth.slides.files import read_rgb
from napari_cosynth.slides.ome_zarr_slide import is_ome_zarr, open_ome_zarr
from napari_cosynth.slides.openslide_slide import (
    open_with_openslide,
    openslide_missing,
)
from napari_cosynth.slides.pyramid import Slide, SlideFacts
from napari_cosynth.slides.tiff_slide import open_tiff

ONLY_OPENSLIDE = (".mrxs", ".vms", ".vmu", ".bif")
"""Formats that tifffile cannot read, or not place the tiles of."""

logger = logging.getLogger(__name__)


def open_slide(path: str | Path, overview: bool = True) -> Slide:
    """Opens a slide; nothing is ever written to it.

    ``overview``: whether a viewer needs its coarsest level, which is made where the file has none that is
    small; that reads a flat slide once.

    Raises ValueError naming the file where it is damaged, needs a missing decoder or is no RGB or grey
    image.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path}: no such file")
    if path.is_dir():
        if is_ome_zarr(path):
            return open_ome_zarr(path).slide()
        if (largest := dicom_in(path)) is not None:
            return open_dicom(largest, overview)
        raise ValueError(
            f"{path}: expected a slide, got a folder that holds neither OME-Zarr nor DICOM"
        )
    if is_dicom(path):
        return open_dicom(path, overview)
    if path.suffix.lower() in ONLY_OPENSLIDE:
        return open_with_openslide(path, overview)
    try:
        return open_tiff(path, overview)
    except DamagedTiffError:
        raise
    except ValueError as error:
        if openslide_missing():
            raise
        try:
            slide = open_with_openslide(path, overview)
        except ValueError:
            raise error from None  # what tifffile said is about the file that was given
        logger.info("%s; read by OpenSlide instead", error)
        return slide


def open_image(path: Path) -> Slide:
    """A slide, or an image of any other kind as one of one level whose µm/px nothing tells."""
    plain = set(IMAGE_SUFFIXES) - {".tif", ".tiff"}
    if path.is_file() and path.suffix.lower() in plain and not is_dicom(path):
        facts = SlideFacts(path.suffix[1:].upper(), stored=1)
        return Slide((read_rgb(path),), None, path, facts)
    return open_slide(path)
