"""A record's labels and distance held fast, its image sampled anew."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from napari_cosynth.diffusion.clamp import ClampedSampler, Known
from napari_cosynth.diffusion.sampler import SeededNoise, initial_noise, sample
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.geometry.frame import Frame
from napari_cosynth.geometry.raster import point_map
from napari_cosynth.model.checkpoint import Checkpoint
from napari_cosynth.model.encoding import decode_image, encode_condition, encode_records
from napari_cosynth.model.precision import choose_device
from napari_cosynth.model.samplers import sampler_of, settled
from napari_cosynth.records.base import remap
from napari_cosynth.synthesis.looks import look_for
from napari_cosynth.synthesis.preparation import (
    denoiser_of,
    fit_layout,
    open_checkpoint,
)
from napari_cosynth.synthesis.provenance import provenance_of
from napari_cosynth.types import Progress, Record, Report, Request, Synthesis


def repaint(request: Request, record: Record) -> Iterator[Progress | Synthesis]:
    """Yields progress, and for each seed a :class:`Synthesis`: ``record`` with another image.

    Labels and distance are clamped to the record's at every step (``diffusion.clamp``), the points
    are its own, and nothing else about it changes: a stand-in for models that paint an image for
    given labels (SDM, Wang et al. 2022). ``request.layout`` is the record's. Raises ValueError where
    the record's µm/px is not the checkpoint's or it has a class that the checkpoint does not know.
    """
    device = choose_device(request.device)
    checkpoint = open_checkpoint(request.checkpoint, device)
    if request.layout is not record.layout:
        raise ValueError(f"{record.source}: expected a request for the record's own layout")
    if abs(record.mpp / checkpoint.config.mpp - 1) > 1e-3:
        raise ValueError(
            f"{record.source}: expected {checkpoint.config.mpp:g} µm/px, got {record.mpp:g}"
        )
    request = settled(request, checkpoint.config)
    fitted = remap(record, checkpoint.classes, {})
    fitted = replace(fitted, layout=fit_layout(fitted.layout, checkpoint))
    return _samples(request, record, fitted, checkpoint, device)


def _samples(
    request: Request,
    record: Record,
    fitted: Record,
    checkpoint: Checkpoint,
    device: torch.device,
) -> Iterator[Progress | Synthesis]:
    """``fitted`` is the record in the checkpoint's classes."""
    facts = {
        **provenance_of(checkpoint, request, device),
        "labels_of": Path(record.source).name,
    }
    denoiser = denoiser_of(checkpoint, request.guidance, device)
    schedule = JointSchedule()
    frame = Frame(fitted.layout.shape, checkpoint.model.network.config.multiple)
    shape, (y, x) = frame.padded, (frame.box.y0, frame.box.x0)
    padded = replace(
        fitted,
        image=frame.pad(fitted.image),
        instances=frame.pad(fitted.instances),
        labels=frame.pad(fitted.labels),
        distance=frame.pad(fitted.distance),
        layout=replace(
            fitted.layout,
            centroids=fitted.layout.centroids + np.array([y, x], np.float32),
            shape=shape,
        ),
    )
    with torch.inference_mode():
        points = torch.from_numpy(point_map(padded.layout).astype(np.int64))[None].to(device)
        context = denoiser.prepare(
            encode_condition(points, [request.prompt], checkpoint.model.text)
        )
        clean = encode_records([padded]).to(device)
        mask = torch.zeros((1, *shape), dtype=torch.bool, device=device)
        mask[0][frame.box.slices] = True
    for index, seed in enumerate(request.seeds):
        begun = time.perf_counter()
        look = look_for(request, checkpoint, fitted.layout, seed)
        # The noise that the sample will begin with, as a clamped pixel's path asks for.
        noise = initial_noise(SeededNoise([seed], device), *shape)
        sampler = ClampedSampler(
            sampler_of(checkpoint.config, request.sampler)(schedule),
            Known(clean, torch.zeros_like(mask), mask, noise),
            schedule,
            denoiser.classes,
        )
        steps = sample(
            denoiser,
            context.in_look(look.seen),
            sampler,
            schedule,
            SeededNoise([seed], device),
            shape,
            request.steps,
        )
        for step in steps:
            state = step.state
            yield Progress(seed, index, len(request.seeds), step.index, request.steps)
        image = frame.cut(decode_image(state.image)[0])
        source = f"{checkpoint.name} seed {seed} on the labels of {record.source}"
        painted = replace(record, image=image, source=source)
        seconds = time.perf_counter() - begun
        provenance = {**facts, **look.facts}
        yield Synthesis(painted, request, seed, Report(), record.labels, seconds, provenance)
