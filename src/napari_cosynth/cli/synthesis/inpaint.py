"""``cosynth inpaint``: a region of a real image is sampled anew from points."""

from __future__ import annotations

import argparse
import dataclasses
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from tqdm import tqdm

from napari_cosynth.cli.synthesis.sampling import Summary, check_known, request_from
from napari_cosynth.export.stack import write_stack
from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.edits import changed_points, cut
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.io.atomic import replaced_folder
from napari_cosynth.layouts.sources.points_csv import read_layout
from napari_cosynth.model.checkpoint import read_config
from napari_cosynth.slides.pyramid import Slide
from napari_cosynth.slides.slide import open_slide
from napari_cosynth.slides.written import Patch, write_with_patches
from napari_cosynth.synthesis.inpaint import inpaint
from napari_cosynth.synthesis.place import Place, part_to_read
from napari_cosynth.types import ClassTable, Layout, Synthesis

logger = logging.getLogger(__name__)


def inpaint_image(options: argparse.Namespace) -> None:
    """Writes ``OUT/image.tif``, the image with the new region, and ``OUT/stack``, the region alone."""
    config = read_config(options.checkpoint)
    check_known("tissue", options.tissue, config.tissues)
    slide = open_slide(options.image)
    level = slide.levels[0]
    if level.ndim != 3:
        raise ValueError(f"{options.image}: expected an RGB image, got a grey one")
    mpp = _mpp(slide, options.mpp)
    y, x, height, width = options.region
    shape = (level.shape[0], level.shape[1])
    region = Box(y, x, y + height, x + width)
    if min(height, width) < 1 or region.clipped(shape) != region:
        raise ValueError(
            f"--region: expected Y X H W inside {shape[0]} x {shape[1]} pixels, got "
            f"{y} {x} {height} {width}"
        )
    layout = _layout(options, options.layout, shape, region, mpp, config.classes)
    before = None
    if options.before is not None:
        before = _layout(options, options.before, shape, region, mpp, config.classes)
        _check_changes(before, layout, region, options)
    part = part_to_read(region, shape, mpp, config.mpp)
    image = np.ascontiguousarray(level[part.slices])
    prompt = options.prompt or prompt_for(cut(layout, region), options.tissue)
    request = request_from(options, cut(layout, part), prompt, (options.seed,), options.tissue)
    inside = region.moved(-part.y0, -part.x0)
    known = None if before is None else cut(before, part)
    place = Place(image, inside, (part.y0, part.x0), Path(options.image).name, known)
    summary = Summary()
    sample = _run(inpaint(request, place), request.steps)
    summary.add(sample)
    assert sample.patch is not None
    with replaced_folder(options.out, options.overwrite) as folder:
        write_stack([sample], folder / "stack")
        write_with_patches(folder / "image.tif", level, [Patch(region, sample.patch)], mpp)
    summary.say(options.out / "stack")
    print(f"image: {options.out / 'image.tif'}")


def _check_changes(before: Layout, after: Layout, region: Box, options: argparse.Namespace) -> None:
    """Logs a warning where changes lie outside the region, since they are not painted."""
    changed = len(changed_points(before, after))
    inside = len(changed_points(cut(before, region), cut(after, region)))
    if changed > inside:
        logger.warning(
            "%s: %d of the points that differ from %s lie outside --region: nothing is painted there",
            options.layout,
            changed - inside,
            options.before,
        )


def _layout(
    options: argparse.Namespace,
    path: Path,
    shape: tuple[int, int],
    region: Box,
    mpp: float,
    classes: ClassTable,
) -> Layout:
    """The layout in the image's pixels, whether its file counts from the image's or the region's corner.

    ``layout detect --region`` writes points counted from the region's corner.
    """
    if options.points == "region":
        return _of_region(options, path, shape, region, mpp, classes)
    layout = read_layout(path, shape, mpp, classes, options.sample)
    if len(cut(layout, region)) or not len(layout):
        return layout
    none = f"{path}: none of its {len(layout)} points lies in --region in the image's pixels"
    own = None
    if options.points is None:
        with suppress(ValueError):
            own = _of_region(options, path, shape, region, mpp, classes)
    if own is None:
        logger.warning("%s: it gets no nuclei", none)
        return layout
    logger.warning(
        "%s: they are counted from the region's corner, as layout detect --region writes them "
        "(--points says which)",
        none,
    )
    return own


def _of_region(
    options: argparse.Namespace,
    path: Path,
    shape: tuple[int, int],
    region: Box,
    mpp: float,
    classes: ClassTable,
) -> Layout:
    """The layout in the image's pixels, of a file that counts from the region's corner."""
    own = read_layout(path, region.shape, mpp, classes, options.sample)
    at = own.centroids + np.array([region.y0, region.x0], np.float32)
    return dataclasses.replace(own, centroids=at, shape=shape)


def _mpp(slide: Slide, given: float | None) -> float:
    mpp = slide.mpp if given is None else given
    if mpp is None:
        raise ValueError(f"--mpp: {slide.path} does not tell its µm per pixel: name them")
    if not 0 < mpp < 100:
        raise ValueError(f"--mpp: expected micrometres per pixel in 0..100, got {mpp}")
    return mpp


def _run(events: Iterator[object], steps: int) -> Synthesis:
    with tqdm(total=steps, unit="step") as bar:
        for event in events:
            if isinstance(event, Synthesis):
                return event
            bar.update()
    raise AssertionError("inpaint ends with a sample")
