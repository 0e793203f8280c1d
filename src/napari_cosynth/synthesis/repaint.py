"""A new image for a record's labels and distance."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import maximum_filter

from napari_cosynth.diffusion.clamp import ClampedSampler, Known
from napari_cosynth.diffusion.sampler import SeededNoise, initial_noise, sample
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.edits import cut
from napari_cosynth.geometry.frame import Frame
from napari_cosynth.geometry.raster import point_map
from napari_cosynth.model.checkpoint import Checkpoint
from napari_cosynth.model.encoding import decode_image, encode_condition, encode_records
from napari_cosynth.model.precision import choose_device
from napari_cosynth.model.samplers import sampler_of, settled
from napari_cosynth.records.base import remap
from napari_cosynth.synthesis.looks import look_for, look_of_pixels
from napari_cosynth.synthesis.preparation import (
    denoiser_of,
    fit_layout,
    open_checkpoint,
)
from napari_cosynth.synthesis.provenance import provenance_of
from napari_cosynth.synthesis.window import LARGEST_WINDOW
from napari_cosynth.types import Progress, Record, Report, Request, Synthesis
from napari_cosynth.types.recipe import BY_SEED

NEAR = 8
"""Pixels around a changed label that are painted anew; a nucleus changes the image no farther away."""
CONTEXT, SMALLEST = 48, 192
"""Pixels around those that the network sees; and the smallest side of what it sees."""


def repaint_around(
    request: Request, record: Record, changed: npt.NDArray[np.bool_]
) -> Iterator[Progress | Synthesis]:
    """Like :func:`repaint`, but only where labels ``changed``, bool (H, W), and ``NEAR`` pixels around.

    Every other pixel of the image stays. With the look ``"seed"`` the record's own look is used. Only the
    first seed is used. Raises ValueError as :func:`repaint` does, where nothing changed, and where the
    changes spread over more than can be sampled at once.
    """
    if changed.shape != record.labels.shape or not changed.any():
        raise ValueError(f"{record.source}: expected a label that changed")
    free = maximum_filter(changed, 2 * NEAR + 1)
    rows, columns = np.flatnonzero(free.any(1)), np.flatnonzero(free.any(0))
    shape = (changed.shape[0], changed.shape[1])
    box = Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    box = box.grown(CONTEXT).at_least(SMALLEST).moved_into(shape).clipped(shape)
    if max(box.shape) > LARGEST_WINDOW:
        raise ValueError(
            f"{record.source}: corrections reach over {box.shape[0]} x {box.shape[1]} pixels, at most "
            f"{LARGEST_WINDOW} a side are painted at once: paint some of them first"
        )
    part = replace(
        record,
        layout=cut(record.layout, box),
        **{name: getattr(record, name)[box.slices] for name in _ARRAYS},
    )
    if request.look == BY_SEED:
        numbers = look_of_pixels(record.image, record.mpp, record.mpp)
        config = open_checkpoint(request.checkpoint, choose_device(request.device)).config
        if config.look is not None:
            request = replace(request, look=numbers, look_of=f"around {Path(record.source).name}")
    asked = replace(request, layout=part.layout, seeds=request.seeds[:1])
    for event in repaint(asked, part, ~free[box.slices]):
        if isinstance(event, Synthesis):
            image = record.image.copy()
            image[box.slices] = event.record.image
            event = replace(event, record=replace(record, image=image), raw_labels=record.labels)
        yield event


_ARRAYS = ("image", "labels", "instances", "distance")


def repaint(
    request: Request, record: Record, held: npt.NDArray[np.bool_] | None = None
) -> Iterator[Progress | Synthesis]:
    """Yields progress, and for each seed a :class:`Synthesis`: ``record`` with another image.

    Labels and distance are clamped to the record's at every step (``diffusion.clamp``), and the points
    are the record's; nothing else about it changes. This stands in for models that paint an image for
    given labels (SDM, Wang et al. 2022). ``request.layout`` is the record's layout. Where ``held``, bool
    (H, W), is True, the image stays too. Raises ValueError where the record's µm/px is not the
    checkpoint's, or the checkpoint does not know one of its classes.
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
    return _samples(request, record, fitted, checkpoint, device, held)


def _samples(
    request: Request,
    record: Record,
    fitted: Record,
    checkpoint: Checkpoint,
    device: torch.device,
    held: npt.NDArray[np.bool_] | None,
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
        seen = torch.zeros_like(mask)
        if held is not None:
            seen[0][frame.box.slices] = torch.from_numpy(held).to(device)
    for index, seed in enumerate(request.seeds):
        begun = time.perf_counter()
        look = look_for(request, checkpoint, fitted.layout, seed)
        # Clamped pixels need the very noise that the sample begins with (diffusion.clamp).
        noise = initial_noise(SeededNoise([seed], device), *shape)
        sampler = ClampedSampler(
            sampler_of(checkpoint.config, request.sampler)(schedule),
            Known(clean, seen, mask, noise),
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
        if held is not None:  # decoding rounds; held pixels stay exactly
            image[held] = record.image[held]
        source = f"{checkpoint.name} seed {seed} on the labels of {Path(record.source).name}"
        painted = replace(record, image=image, source=source)
        seconds = time.perf_counter() - begun
        provenance = {**facts, **look.facts}
        yield Synthesis(painted, request, seed, Report(), record.labels, seconds, provenance)
