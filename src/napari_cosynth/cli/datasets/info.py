"""``cosynth info``: facts on a checkpoint, a data set, an export or a slide."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from napari_cosynth.datasets.formats import formats_of
from napari_cosynth.datasets.survey import survey
from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.io.listing import IMAGE_SUFFIXES, SLIDE_SUFFIXES
from napari_cosynth.io.paths import SOFTWARE
from napari_cosynth.slides.dicom_slide import dicom_in, is_dicom
from napari_cosynth.slides.ome_zarr_metadata import image_groups, read_image
from napari_cosynth.slides.ome_zarr_slide import is_ome_zarr
from napari_cosynth.slides.pyramid import downsampling, read_region
from napari_cosynth.slides.slide import open_image


def print_info(name: str) -> None:
    """Prints a checkpoint's facts. Raises ValueError where it cannot be used."""
    # These import torch, which data sets and slides do not need.
    from napari_cosynth.model.checkpoint import available, load, own
    from napari_cosynth.model.precision import choose_device, faster_in_bf16

    checkpoint = load(name)
    config = checkpoint.config
    parameters = sum(p.numel() for p in checkpoint.model.parameters()) / 1e6
    device = choose_device()
    facts = {
        "checkpoint": f"{checkpoint.name} ({checkpoint.path})",
        "sha256": checkpoint.sha256,
        "parameters": f"{parameters:.1f} million",
        "grid": f"{config.mpp:g} µm/px; canvases of any size, sampled in multiples of "
        f"{config.network.multiple} pixels and cropped",
        "classes": ", ".join(f"{i} {n}" for i, n in enumerate(config.class_names)),
        "tissues": ", ".join(config.tissues) or "none named",
        "stains": ", ".join(config.stains),
        "text": str(config.text.get("kind")),
        "training": ", ".join(
            f"{k} {v}" for k, v in config.training.items() if not isinstance(v, dict)
        ),
        "licence": config.licence or "not stated",
        "device": f"{device}, in {'bfloat16' if faster_in_bf16(device) else 'float32'}",
        "bundled": ", ".join(available()),
        "yours": ", ".join(own()) or "none (set COSYNTH_CHECKPOINTS to a folder of them)",
    }
    for key, value in facts.items():
        print(f"{key + ':':13}{value}")


SHOWN = 6
"""Number of records in the picture."""
_GAP = 4


def describe(path: Path, kind: str | None, picture: Path | None, **options: Any) -> None:
    """Prints a data set's format, number of records, shapes, µm/px, classes with counts, and tissues.

    ``picture`` is a PNG file for a picture of some records.
    """
    found = survey(
        path, kind, None, SHOWN if picture else 0, partial(tqdm, disable=None), **options
    )
    assumed = "" if found.mpp_stated else " (assumed: the files do not state it)"
    tissues = {name or "not stated": n for name, n in found.tissues.items()}
    facts = {
        "path": str(path),
        "format": found.kind
        + (f", export of CoSynth, {found.synthetic} synthetic" if found.ours else ""),
        "records": str(found.records),
        "shapes": ", ".join(f"{h} x {w} ({n})" for (h, w), n in found.shapes.most_common()),
        "µm/px": ", ".join(f"{size:g}" for size in sorted(found.sizes)) + assumed,
        "nuclei": str(found.nuclei.total()),
        "classes": ", ".join(
            f"{i} {name} ({found.nuclei[name]})" for i, name in enumerate(found.classes, start=1)
        ),
        "tissues": ", ".join(f"{name} ({n})" for name, n in sorted(tissues.items())),
        "stains": ", ".join(f"{name} ({n})" for name, n in sorted(found.stains.items())),
    }
    for key, value in [*facts.items(), *(("note", note) for note in found.notes)]:
        print(f"{key + ':':9}{value}")
    if picture:
        import imageio.v3 as iio
        from PIL.PngImagePlugin import PngInfo

        made = PngInfo()
        made.add_text("Software", SOFTWARE)
        with replaced_file(picture) as fresh:
            iio.imwrite(fresh, _montage(found.pictures), extension=".png", pnginfo=made)
        print(f"picture: {picture}")


def _montage(panels: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    height = max(panel.shape[0] for panel in panels)
    width = sum(panel.shape[1] + _GAP for panel in panels) - _GAP
    out = np.full((height, width, 3), 255, np.uint8)
    x = 0
    for panel in panels:
        out[: panel.shape[0], x : x + panel.shape[1]] = panel
        x += panel.shape[1] + _GAP
    return out


THUMBNAIL = 1024
"""Largest length of a thumbnail's longer side, in pixels."""


def is_slide(path: Path) -> bool:
    """Whether a path is an image or slide and not a data set; an OME-Zarr with labels is a data set."""
    if path.is_dir():
        if is_ome_zarr(path):
            return not any(read_image(group).has_labels() for group in image_groups(path))
        return not formats_of(path) and dicom_in(path) is not None
    endings = (*IMAGE_SUFFIXES, *SLIDE_SUFFIXES)
    return path.suffix.lower() in endings or is_dicom(path)


def describe_slide(path: Path, picture: Path | None) -> None:
    """Prints a slide's size, levels, µm/px with its source in the file, vendor and compression.

    ``picture`` is a PNG file for a thumbnail.
    """
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
