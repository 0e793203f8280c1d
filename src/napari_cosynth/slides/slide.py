"""Opening of slides: TIFF by tifffile, OME-Zarr by zarr, DICOM and all others by OpenSlide."""

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
"""Endings of formats that tifffile cannot read, or whose tiles it cannot place."""

logger = logging.getLogger(__name__)


def open_slide(path: str | Path, overview: bool = True) -> Slide:
    """Opens a slide of any kind, read-only.

    ``overview`` makes a small coarsest level for a viewer if the file has none, which reads a flat slide
    once. Raises ValueError naming the file if it is damaged, needs a missing decoder, or is no RGB or
    grey image.
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
            raise error from None  # tifffile's message fits the file better than OpenSlide's
        logger.info("%s; read by OpenSlide instead", error)
        return slide


def open_image(path: Path) -> Slide:
    """A slide, or a picture (PNG, JPEG, BMP) as a slide of one level and unknown µm/px.

    Raises ValueError as :func:`open_slide`.
    """
    plain = set(IMAGE_SUFFIXES) - {".tif", ".tiff"}
    if path.is_file() and path.suffix.lower() in plain and not is_dicom(path):
        facts = SlideFacts(path.suffix[1:].upper(), stored=1)
        return Slide((read_rgb(path),), None, path, facts)
    return open_slide(path)
