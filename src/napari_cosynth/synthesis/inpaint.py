"""Inpainting of a real image: a whole region, or only around points of it that changed, is sampled anew.

Every other pixel of the image stays.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial import KDTree

from napari_cosynth.geometry.edits import cut, edit_between, near_changes
from napari_cosynth.geometry.membrane import seamless
from napari_cosynth.geometry.raster import point_map
from napari_cosynth.layouts.sources.detect import detect_nuclei, detectable
from napari_cosynth.model.checkpoint import Checkpoint
from napari_cosynth.model.encoding import decode_distance, decode_image, decode_labels
from napari_cosynth.model.precision import choose_device
from napari_cosynth.model.samplers import settled
from napari_cosynth.records.resample import enlarged, resized
from napari_cosynth.synthesis.looks import look_for, look_of_pixels
from napari_cosynth.synthesis.place import (
    CONTEXT,
    SMALLEST_WINDOW,
    Place,
    inside_outline,
    on_grid,
    working_mpp,
)
from napari_cosynth.synthesis.preparation import fit_layout, open_checkpoint
from napari_cosynth.synthesis.previews import PreviewClock
from napari_cosynth.synthesis.provenance import provenance_of
from napari_cosynth.synthesis.separation import separated
from napari_cosynth.synthesis.window import Surroundings, Window, progress_of, sample_window
from napari_cosynth.types import NO_PREVIEWS, Layout, Previews, Progress, Request, Synthesis
from napari_cosynth.types.recipe import BY_SEED

SMALLEST_REGION = 16
"""Smallest side of a region, in pixels of the checkpoint's grid."""
REACH = 12.0
"""Radius in µm around a changed point that is painted anew: a large nucleus and what touches it."""
CORE = 3.0
"""Radius in µm around an unchanged point that stays, even next to a changed one."""
APART = 3.0
"""Distance in µm: a nucleus found around the region is a new one if all points are farther away."""
UNKNOWN = "unspecified"
"""Class of nuclei that are found around the region, if the checkpoint knows this class."""


def inpaint(
    request: Request, place: Place, previews: Previews = NO_PREVIEWS
) -> Iterator[Progress | Synthesis]:
    """Yields progress with previews of the region, then its :class:`Synthesis`.

    ``request.layout`` is on the canvas of ``place.image`` at that image's µm/px. It holds all nuclei of
    the region, old and new, and may hold points of real nuclei around it. Nuclei around the region
    without a point are found in the image.

    The region's image, labels and distance are sampled. Around it the real image is held at every step.
    The labels there are unknown: they are sampled too, and dropped. With ``place.before`` the image is
    also held inside the region, farther than ``REACH`` from every point that changed, and with
    ``place.outline`` outside that.

    ``record`` is the region on the checkpoint's grid. ``patch`` replaces the region in the image; no
    other pixel of the image changes. Only the first seed is used. Raises ValueError before the first
    step, also where no point of the region differs from ``place.before``.
    """
    device = choose_device(request.device)
    checkpoint = open_checkpoint(request.checkpoint, device)
    request = settled(_in_look_of(request, place, checkpoint), checkpoint.config)
    own, grid = request.layout, checkpoint.config.mpp
    if own.shape != place.image.shape[:2]:
        raise ValueError(
            f"{place.source}: layout: expected a canvas of {place.image.shape[:2]}, got {own.shape}"
        )
    layout = _on_grid(own, checkpoint)
    region = on_grid(place.region, own.shape, layout.shape)
    if min(region.shape) < SMALLEST_REGION:
        raise ValueError(
            f"{place.source}: region: expected at least {SMALLEST_REGION} pixels a side at {grid:g} "
            f"µm/px, got {region.shape[0]} x {region.shape[1]}"
        )
    multiple = checkpoint.model.network.config.multiple
    window = Window.around(region, layout.shape, multiple, CONTEXT, SMALLEST_WINDOW)
    facts: dict[str, Any] = {}
    if place.before is not None:
        before = _on_grid(place.before, checkpoint)
        free = near_changes(before, layout, window.free, REACH / grid, CORE / grid)
        if not free.any():
            raise ValueError(f"{place.source}: before: every point of the region is there already")
        window = replace(window, held=~free)
        facts["edit"] = edit_between(cut(before, window.free), cut(layout, window.free))
    if place.outline is not None:
        inside = inside_outline(place.outline, own.shape, layout.shape)[window.free.slices]
        free = inside if window.held is None else inside & ~window.held
        if not free.any():
            raise ValueError(f"{place.source}: outline: nothing is to be painted inside it")
        window = replace(window, held=~free)
        facts["outline"] = (place.outline + np.array(place.origin)).round(2).tolist()
    image = resized(place.image, layout.shape)
    painted = np.zeros(layout.shape, bool)
    painted[window.free.slices] = True if window.held is None else ~window.held
    seen = _with_found(layout, image, painted)
    facts["found_around"] = len(seen) - len(layout)
    return _samples(
        request, place, checkpoint, image, layout, point_map(seen), window, device, facts, previews
    )


def _on_grid(layout: Layout, checkpoint: Checkpoint) -> Layout:
    mpp = working_mpp(layout.mpp, checkpoint.config.mpp)
    return fit_layout(replace(layout, mpp=mpp), checkpoint)


def _with_found(
    layout: Layout, image: npt.NDArray[np.uint8], painted: npt.NDArray[np.bool_]
) -> Layout:
    """The layout with points added for nuclei that the image shows outside ``painted``, bool (H, W).

    Nuclei that have a point already are left out. Without the added points the network would take these
    nuclei for background and paint new ones smaller.
    """
    if not detectable(layout.mpp) or painted.all():
        return layout
    # Pixels that will be replaced must not influence the detector's thresholds.
    around = image.copy()
    around[painted] = np.median(image[~painted], axis=0)
    found = detect_nuclei(around, layout.mpp)
    pixels = np.floor(found + 0.5).astype(int).clip(0, np.array(layout.shape) - 1)
    found = found[~painted[tuple(pixels.T)]]
    if len(layout) and len(found):
        found = found[KDTree(layout.centroids).query(found)[0] > APART / layout.mpp]
    names, ids = layout.classes.names, layout.class_ids
    usual = int(np.bincount(ids).argmax()) if len(ids) else 1
    class_id = names.index(UNKNOWN) if UNKNOWN in names else usual
    return replace(
        layout,
        centroids=np.concatenate([layout.centroids, found]),
        class_ids=np.concatenate([layout.class_ids, np.full(len(found), class_id, np.uint8)]),
    )


def _in_look_of(request: Request, place: Place, checkpoint: Checkpoint) -> Request:
    """The request with the look of the real image, unless it asks for another look."""
    if request.look != BY_SEED or checkpoint.config.look is None:
        return request
    numbers = look_of_pixels(place.image, request.layout.mpp, checkpoint.config.mpp)
    return replace(request, look=numbers, look_of=f"around the region of {place.source or 'image'}")


def _samples(
    request: Request,
    place: Place,
    checkpoint: Checkpoint,
    image: npt.NDArray[np.uint8],
    layout: Layout,
    points: npt.NDArray[np.uint8],
    window: Window,
    device: torch.device,
    facts: dict[str, Any],
    previews: Previews,
) -> Iterator[Progress | Synthesis]:
    begun, seed = time.perf_counter(), request.seeds[0]
    look = look_for(request, checkpoint, layout, seed)
    around, clock = Surroundings(image), PreviewClock(previews, request.steps)
    for step in sample_window(request, checkpoint, device, points, window, around, look.seen):
        yield progress_of(request, clock, step, lambda *shown: tuple(map(window.freed, shown)))
    # The last estimate is smooth across the region's border, but around it differs from the real image.
    part = window.part
    guessed = window.of_canvas(decode_image(step.clean.image)[0])
    free = None if window.held is None else ~window.held
    made = seamless(guessed, image[part.slices], window.free.moved(-part.y0, -part.x0), free)
    raw = window.freed(decode_labels(step.state.labels)[0])
    distance = window.freed(decode_distance(step.state.distance)[0])
    source = f"{place.source or 'image'}, inpainted by {checkpoint.name} seed {seed}"
    inside, areas = cut(layout, window.free), checkpoint.config.areas
    record, report = separated(made, raw, distance, inside, request, source, areas)
    whole = image.copy()
    whole[window.free.slices] = made
    patch = np.ascontiguousarray(resized(whole, place.image.shape[:2])[place.region.slices])
    if free is not None:
        changed = np.zeros(layout.shape, bool)
        changed[window.free.slices] = free
        kept = ~enlarged(changed, place.image.shape[:2])[place.region.slices]
        patch[kept] = place.image[place.region.slices][kept]
    box = place.region.moved(*place.origin)
    provenance = {
        **provenance_of(checkpoint, request, device),
        **look.facts,
        "inpainted": {
            "image": place.source,
            "region": [box.y0, box.x0, box.y1, box.x1],
            "mpp": request.layout.mpp,
            **facts,
        },
    }
    seconds = time.perf_counter() - begun
    yield Synthesis(record, request, seed, report, raw, seconds, provenance, patch)
