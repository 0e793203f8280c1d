"""Resynthesis after an edit of the layout: a sample that differs from the old one only near the edit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.edits import edit_between
from napari_cosynth.geometry.raster import point_map
from napari_cosynth.model.checkpoint import Checkpoint
from napari_cosynth.model.encoding import decode_distance, decode_image, decode_labels
from napari_cosynth.model.precision import choose_device
from napari_cosynth.model.samplers import settled
from napari_cosynth.synthesis.looks import look_for
from napari_cosynth.synthesis.preparation import fit_layout, open_checkpoint
from napari_cosynth.synthesis.previews import PreviewClock
from napari_cosynth.synthesis.separation import separated
from napari_cosynth.synthesis.window import Surroundings, Window, progress_of, sample_window
from napari_cosynth.types import NO_PREVIEWS, Layout, Previews, Progress, Request, Synthesis
from napari_cosynth.types.recipe import asked_again

REACH = 24
"""Pixels around a changed point that are sampled again: a large nucleus and its surroundings."""
CONTEXT = 32
"""Clamped pixels around those; the network sees what to continue."""
SMALLEST_WINDOW = 128
"""Smallest side of the window in pixels: no smaller than the network's training crops, and a quarter of
the work of 256."""


def resynthesize(
    request: Request, before: Synthesis, changed: Box, previews: Previews = NO_PREVIEWS
) -> Iterator[Progress | Synthesis]:
    """Yields progress, then the sample of ``request.layout``, which is new only around ``changed``.

    ``before`` is a sample of the same checkpoint on the same canvas. ``changed``, in its pixels, holds
    every point that differs. Image, labels and distance farther than ``REACH`` from ``changed`` are
    bit-identical to ``before``. Each pixel gets the noise that the request's first seed has there on the
    whole canvas. Previews show the whole canvas, with the estimate in its place. Raises ValueError where
    the canvases or the classes differ.
    """
    device = choose_device(request.device)
    checkpoint = open_checkpoint(request.checkpoint, device)
    request = settled(_in_look_of(request, before), checkpoint.config)
    layout = fit_layout(request.layout, checkpoint)
    record = before.record
    if layout.shape != record.labels.shape or layout.classes != record.classes:
        raise ValueError(
            f"expected a layout of {record.labels.shape} pixels in the classes of the sample, got "
            f"{layout.shape}"
        )
    grid = checkpoint.model.network.config.multiple
    free = changed.grown(REACH)
    window = Window.around(free, layout.shape, grid, CONTEXT, SMALLEST_WINDOW)
    points = point_map(layout)
    clock = PreviewClock(previews, request.steps)
    return _samples(request, before, checkpoint, layout, points, window, device, clock)


def _samples(
    request: Request,
    before: Synthesis,
    checkpoint: Checkpoint,
    layout: Layout,
    points: npt.NDArray[np.uint8],
    window: Window,
    device: torch.device,
    clock: PreviewClock,
) -> Iterator[Progress | Synthesis]:
    begun = time.perf_counter()
    seed, record = request.seeds[0], before.record
    around = Surroundings(record.image, before.raw_labels, record.distance)
    look = look_for(request, checkpoint, layout, seed)
    for step in sample_window(request, checkpoint, device, points, window, around, look.seen):
        yield progress_of(
            request,
            clock,
            step,
            lambda image, labels: (
                window.paste(image, record.image),
                window.paste(labels, before.raw_labels),
            ),
        )
    state = step.state
    raw = window.paste(decode_labels(state.labels)[0], before.raw_labels)
    distance = window.paste(decode_distance(state.distance)[0], record.distance)
    image = window.paste(decode_image(state.image)[0], record.image)
    source = f"{checkpoint.name} seed {seed}, edited"
    areas = checkpoint.config.areas
    fresh, report = separated(image, raw, distance, layout, request, source, areas)
    box = window.free
    provenance = {
        **before.provenance,
        **look.facts,
        "resampled": [*before.provenance.get("resampled", ()), [box.y0, box.x0, box.y1, box.x1]],
        "history": [*before.provenance.get("history", ()), _edit(before, layout)],
    }
    yield replace(
        before,
        record=fresh,
        request=request,
        seed=seed,
        report=report,
        raw_labels=raw,
        seconds=time.perf_counter() - begun,
        provenance=provenance,
    )


def _in_look_of(request: Request, before: Synthesis) -> Request:
    """The request with the look of the sample before, unless it names numbers of its own."""
    asked = asked_again(before.provenance)
    if not isinstance(request.look, str) or asked is None:
        return request
    return replace(request, look=asked[0], look_of=asked[1])


def _edit(before: Synthesis, layout: Layout) -> dict[str, Any]:
    """Entry of the sample's history that leads back to the sample before: changed points, old recipe."""
    values = before.request.stored(before.seed)
    values |= {name: before.recipe[name] for name in ("look", "look_of") if name in before.recipe}
    return {**edit_between(before.record.layout, layout), "recipe": values}
