"""``cosynth info SLIDE``: what a slide or image says of itself, and a thumbnail."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_cosynth.datasets.formats import formats_of
from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.io.listing import IMAGE_SUFFIXES, SLIDE_SUFFIXES
from napari_cosynth.slides.dicom_slide import dicom_in, is_dicom
from napari_cosynth.slides.ome_zarr_metadata import image_groups, read_image
from napari_cosynth.slides.ome_zarr_slide import is_ome_zarr
from napari_cosynth.slides.pyramid import downsampling, read_region
from napari_cosynth.slides.slide import open_image

THUMBNAIL = 1024
"""Pixels of its longer side, at most."""


def is_slide(path: Path) -> bool:
    """Whether a path is an image or slide, and no data set: an OME-Zarr with labels is one."""
    if path.is_dir():
        if is_ome_zarr(path):
            return not any(read_image(group).has_labels() for group in image_groups(path))
        return not formats_of(path) and dicom_in(path) is not None
    endings = (*IMAGE_SUFFIXES, *SLIDE_SUFFIXES)
    return path.suffix.lower() in endings or is_dicom(path)


def describe_slide(path: Path, picture: Path | None) -> None:
    """Prints size, levels, µm/px and where it is written, vendor and compression; draws a thumbnail."""
    slide = open_image(path)
    first, facts = slide.levels[0], slide.facts
    height, width = first.shape[:2]
    stored = slide.levels[: facts.stored]
    size = f"{height} x {width} pixels, {'RGB' if first.ndim == 3 else 'grey'}, {first.dtype}"
    if slide.mpp is not None:
        size += f", {height * slide.mpp / 1000:.3g} x {width * slide.mpp / 1000:.3g} mm"
    told = f"{slide.mpp:g} ({facts.mpp_from})" if slide.mpp is not None else ""
    table = {
        "path": str(path) if slide.path == path else f"{path} ({slide.path.name})",
        "format": facts.format or "of a scanner, read by OpenSlide",
        "size": size,
        "levels": f"{len(stored)}: " + ", ".join(_level(level, first.shape) for level in stored),
        "µm/px": told or "not stated",
        "vendor": facts.vendor or "not stated",
        "compression": facts.compression or "not stated",
    }
    for key, value in table.items():
        print(f"{key + ':':13}{value}")
    if picture:
        _write_thumbnail(slide.levels, picture)
        print(f"{'picture:':13}{picture}")


def _level(level: Any, first: Sequence[int]) -> str:
    factor = max(downsampling(level.shape, first))
    size = f"{level.shape[0]} x {level.shape[1]}"
    return size if factor == 1 else f"{size} (1/{factor:.4g})"


def _write_thumbnail(levels: Sequence[Any], picture: Path) -> None:
    import imageio.v3 as iio

    height, width = levels[0].shape[:2]
    step = max(1.0, max(height, width) / THUMBNAIL)
    shape = (max(1, round(height / step)), max(1, round(width / step)))
    middle = (step - 1) / 2
    thumbnail = read_region(levels, (middle, middle), step, shape)
    with replaced_file(picture) as fresh:
        iio.imwrite(fresh, thumbnail, extension=".png")
