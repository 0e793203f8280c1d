"""Nuclei into a real image: a region of it sampled anew from points, everything around it as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from napari_cosynth.data.base import resized
from napari_cosynth.geometry.edits import cut
from napari_cosynth.geometry.membrane import seamless
from napari_cosynth.geometry.place import CONTEXT, SMALLEST_WINDOW, Place, on_grid, working_mpp
from napari_cosynth.geometry.raster import point_map
from napari_cosynth.model.checkpoint import Checkpoint
from napari_cosynth.model.encoding import decode_distance, decode_image, decode_labels
from napari_cosynth.model.precision import choose_device
from napari_cosynth.model.samplers import settled
from napari_cosynth.synthesis.looks import look_for, look_of_pixels
from napari_cosynth.synthesis.preparation import fit_layout, open_checkpoint
from napari_cosynth.synthesis.provenance import provenance_of
from napari_cosynth.synthesis.separation import separated
from napari_cosynth.synthesis.window import Surroundings, Window, progress_of, sample_window
from napari_cosynth.types import Layout, Progress, Request, Synthesis
from napari_cosynth.types.sampling import BY_SEED

SMALLEST_REGION = 16
"""Pixels a side on the checkpoint's grid."""


def inpaint(request: Request, place: Place) -> Iterator[Progress | Synthesis]:
    """Yields progress with previews of the region, then its :class:`Synthesis`.

    ``request.layout`` is on the canvas of ``place.image`` at that image's µm/px: all nuclei that the
    region is to hold, those that stay as well as new ones; points around the region, if there are any,
    say what is there. The region's image, labels and distance are sampled; around it the real image is
    held at every step, while its labels, which nobody knows, are sampled with the rest and thrown away.
    ``record`` is the region on the checkpoint's grid and ``patch`` what takes its place in the image,
    of which no other pixel changes. The first seed counts. Raises ValueError before the first step.
    """
    device = choose_device(request.device)
    checkpoint = open_checkpoint(request.checkpoint, device)
    request = settled(_in_look_of(request, place, checkpoint), checkpoint.config)
    own, grid = request.layout, checkpoint.config.mpp
    if own.shape != place.image.shape[:2]:
        raise ValueError(
            f"{place.source}: layout: expected a canvas of {place.image.shape[:2]}, got {own.shape}"
        )
    layout = fit_layout(replace(own, mpp=working_mpp(own.mpp, grid)), checkpoint)
    region = on_grid(place.region, own.shape, layout.shape)
    if min(region.shape) < SMALLEST_REGION:
        raise ValueError(
            f"{place.source}: region: expected at least {SMALLEST_REGION} pixels a side at {grid:g} "
            f"µm/px, got {region.shape[0]} x {region.shape[1]}"
        )
    multiple = checkpoint.model.network.config.multiple
    window = Window.around(region, layout.shape, multiple, CONTEXT, SMALLEST_WINDOW)
    points = point_map(layout)
    return _samples(request, place, checkpoint, layout, points, window, device)


def _in_look_of(request: Request, place: Place, checkpoint: Checkpoint) -> Request:
    """The request in the look of the image around the region, unless it asks for another."""
    if request.look != BY_SEED or checkpoint.config.look is None:
        return request
    numbers = look_of_pixels(place.image, request.layout.mpp, checkpoint.config.mpp)
    return replace(request, look=numbers, look_of=f"around the region of {place.source or 'image'}")


def _samples(
    request: Request,
    place: Place,
    checkpoint: Checkpoint,
    layout: Layout,
    points: npt.NDArray[np.uint8],
    window: Window,
    device: torch.device,
) -> Iterator[Progress | Synthesis]:
    begun, seed = time.perf_counter(), request.seeds[0]
    image = resized(place.image, layout.shape)
    look = look_for(request, checkpoint, layout, seed)
    around = Surroundings(image)
    for step in sample_window(request, checkpoint, device, points, window, around, look.seen):
        yield progress_of(request, step, lambda *shown: tuple(map(window.freed, shown)))
    # The last estimate has no step at the region's border, but around it is not quite the real image.
    part = window.part
    guessed = window.of_canvas(decode_image(step.clean.image)[0])
    made = seamless(guessed, image[part.slices], window.free.moved(-part.y0, -part.x0))
    raw = window.freed(decode_labels(step.state.labels)[0])
    distance = window.freed(decode_distance(step.state.distance)[0])
    source = f"{place.source or 'image'}, inpainted by {checkpoint.name} seed {seed}"
    record, report = separated(made, raw, distance, cut(layout, window.free), request, source)
    whole = image.copy()
    whole[window.free.slices] = made
    patch = np.ascontiguousarray(resized(whole, place.image.shape[:2])[place.region.slices])
    box = place.region.moved(*place.origin)
    provenance = {
        **provenance_of(checkpoint, request, device),
        **look.facts,
        "inpainted": {
            "image": place.source,
            "region": [box.y0, box.x0, box.y1, box.x1],
            "mpp": request.layout.mpp,
        },
    }
    seconds = time.perf_counter() - begun
    yield Synthesis(record, request, seed, report, raw, seconds, provenance, patch)
