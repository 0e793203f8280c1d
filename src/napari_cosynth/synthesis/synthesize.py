"""Synthesis of whole canvases: progress, and one sample per seed of a request."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from napari_cosynth.geometry.frame import Frame
from napari_cosynth.geometry.raster import point_map
from napari_cosynth.model.checkpoint import Checkpoint
from napari_cosynth.model.precision import choose_device
from napari_cosynth.model.samplers import sampler_of, settled
from napari_cosynth.synthesis.looks import look_for
from napari_cosynth.synthesis.preparation import (
    denoiser_of,
    fit_layout,
    open_checkpoint,
)
from napari_cosynth.synthesis.previews import PreviewClock
from napari_cosynth.synthesis.provenance import provenance_of
from napari_cosynth.synthesis.separation import separated
from napari_cosynth.synthesis.trajectories import Trajectories
from napari_cosynth.types import NO_PREVIEWS, Layout, Previews, Progress, Request, Synthesis

logger = logging.getLogger(__name__)


def synthesize(
    request: Request, previews: Previews = NO_PREVIEWS, scratch: Path | None = None
) -> Iterator[Progress | Synthesis]:
    """Yields a :class:`Progress` after each step, and a :class:`Synthesis` after each sample's last step.

    Close the iterator to cancel. Samples are made one at a time, so that a seed gives the same pixels
    alone and among others. The layout is scaled to the checkpoint's µm/px, and so are the results. The
    canvas is sampled with a margin, which is cut off afterwards (``geometry.frame``).

    A canvas with a side above ``trajectories.LARGEST_WHOLE`` pixels is sampled by windows, with a
    :class:`Progress` after each batch of windows. It keeps its state in the folder ``scratch``, if given,
    so that a killed run resumes from its last step.

    Raises ValueError before the first step for a class that the checkpoint does not know, for two points
    on one pixel, and for a checkpoint, sampler, look or device that cannot be used.
    """
    device = choose_device(request.device)
    checkpoint = open_checkpoint(request.checkpoint, device)
    layout = fit_layout(request.layout, checkpoint)
    frame = Frame(layout.shape, checkpoint.model.network.config.multiple)
    points = point_map(layout)
    request = settled(request, checkpoint.config)
    sampler = sampler_of(checkpoint.config, request.sampler)
    looks = [look_for(request, checkpoint, layout, seed) for seed in request.seeds]
    provenance = provenance_of(checkpoint, request, device)
    if unknown := provenance["unknown_words"]:
        logger.warning("the checkpoint's text encoder does not know: %s", ", ".join(unknown))
    denoiser = denoiser_of(checkpoint, request.guidance, device)
    with torch.inference_mode():
        text = checkpoint.model.text([request.prompt])
    trajectories = Trajectories(
        request,
        denoiser,
        sampler,
        points,
        frame,
        text,
        checkpoint.sha256,
        [look.seen for look in looks],
        scratch,
    )
    facts = [{**provenance, **look.facts} for look in looks]
    return _samples(request, previews, checkpoint, layout, trajectories, facts)


def _samples(
    request: Request,
    previews: Previews,
    checkpoint: Checkpoint,
    layout: Layout,
    trajectories: Trajectories,
    provenance: list[dict[str, Any]],
) -> Iterator[Progress | Synthesis]:
    seeds = zip(request.seeds, trajectories.of_seeds(), strict=True)
    for index, (seed, states) in enumerate(seeds):
        begun, clock = time.perf_counter(), PreviewClock(previews, request.steps)
        for state in states:
            progress = Progress(
                seed, index, len(request.seeds), state.step, request.steps, part=state.part
            )
            last = state.step == request.steps
            if state.visible and clock.wanted(state.step, state.part):
                image, labels = state.estimate()
                progress = replace(progress, image=image, labels=labels)
            if last:
                pixels = state.result()
            yield progress
        source = f"{checkpoint.name} seed {seed}"
        arrays, areas = (pixels.image, pixels.labels, pixels.distance), checkpoint.config.areas
        record, report = separated(*arrays, layout, request, source, areas)
        seconds = time.perf_counter() - begun
        yield Synthesis(record, request, seed, report, pixels.labels, seconds, provenance[index])
