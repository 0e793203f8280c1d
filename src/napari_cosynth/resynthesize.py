"""An edited layout and the sample of the old one -> a sample that differs only near the edit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_cosynth import registry
from napari_cosynth.diffusion.clamp import ClampedSampler, Known, WindowNoise
from napari_cosynth.diffusion.guidance import guided
from napari_cosynth.diffusion.joint import Noise
from napari_cosynth.diffusion.sampler import sample
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.tensors import Denoiser, JointState
from napari_cosynth.geometry.edits import Box
from napari_cosynth.geometry.raster import point_map
from napari_cosynth.model.checkpoint import Checkpoint
from napari_cosynth.model.encoding import (
    decode_distance,
    decode_image,
    decode_labels,
    encode_condition,
)
from napari_cosynth.model.precision import InBfloat16, choose_device, faster_in_bf16
from napari_cosynth.synthesize import SMALLEST_CANVAS, fit_layout, open_checkpoint, separated
from napari_cosynth.types import Layout, Progress, Request, Synthesis

REACH = 24
"""Pixels around a changed point that are sampled again: a large nucleus and its surroundings."""
CONTEXT = 32
"""Clamped pixels around those, which tell the network what to continue."""
SMALLEST_WINDOW = 128
"""Pixels; larger than any crop the network was trained on, and a quarter of the work of 256."""


def resynthesize(
    request: Request, before: Synthesis, changed: Box
) -> Iterator[Progress | Synthesis]:
    """Yields progress, then the sample of ``request.layout``, made anew only around ``changed``.

    Previews show the whole canvas, with the estimate in its place.

    ``before`` is a sample of the same checkpoint on the same canvas; ``changed``, in its pixels,
    holds every point that differs. Image, labels and distance further than ``REACH`` from
    ``changed`` are bit-identical to ``before``; its first seed's noise is used, at its place on the
    canvas. Raises ValueError where the canvases or the classes differ.
    """
    device = choose_device(request.device)
    checkpoint = open_checkpoint(request.checkpoint, device)
    layout = fit_layout(request.layout, checkpoint)
    record = before.record
    if layout.shape != record.labels.shape or layout.classes != record.classes:
        raise ValueError(
            f"expected a layout of {record.labels.shape} pixels in the classes of the sample, got "
            f"{layout.shape}"
        )
    window = _Window.around(changed, layout.shape, checkpoint.model.network.config.multiple)
    points = point_map(layout)
    return _samples(request, before, checkpoint, layout, points, window, device)


@dataclass(frozen=True)
class _Window:
    """What the network sees, in pixels of the padded canvas, and what of it may change."""

    shown: Box
    free: Box
    """Clipped to the canvas."""
    padded: tuple[int, int]

    @classmethod
    def around(cls, changed: Box, shape: tuple[int, int], multiple: int) -> _Window:
        padded = tuple(-(-max(n, SMALLEST_CANVAS) // multiple) * multiple for n in shape)
        free = changed.grown(REACH).clipped(shape)
        shown = free.grown(CONTEXT).at_least(SMALLEST_WINDOW).aligned(multiple)
        return cls(shown.moved_into((padded[0], padded[1])), free, (padded[0], padded[1]))

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """True where the window's pixels are known, bool (h, w)."""
        known = np.ones(self.shown.shape, bool)
        y, x = self.shown.y0, self.shown.x0
        known[self.free.y0 - y : self.free.y1 - y, self.free.x0 - x : self.free.x1 - x] = False
        return known

    def crop(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The window's part of a canvas (H, W, ...), padded with its last row and column."""
        rows = np.minimum(np.arange(self.shown.y0, self.shown.y1), array.shape[0] - 1)
        columns = np.minimum(np.arange(self.shown.x0, self.shown.x1), array.shape[1] - 1)
        return array[np.ix_(rows, columns)]

    def paste(self, patch: npt.NDArray[Any], canvas: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A copy of ``canvas`` with the free part of ``patch`` in its place."""
        out = canvas.copy()
        y, x = self.shown.y0, self.shown.x0
        f = self.free
        out[f.slices] = patch[f.y0 - y : f.y1 - y, f.x0 - x : f.x1 - x]
        return out


def _samples(
    request: Request,
    before: Synthesis,
    checkpoint: Checkpoint,
    layout: Layout,
    points: npt.NDArray[np.uint8],
    window: _Window,
    device: torch.device,
) -> Iterator[Progress | Synthesis]:
    begun = time.perf_counter()
    seed, record, schedule = request.seeds[0], before.record, JointSchedule()
    denoiser: Denoiser = guided(checkpoint.model.network, request.guidance)
    if faster_in_bf16(device):
        denoiser = InBfloat16(denoiser, device)
    with torch.inference_mode():
        inside = np.zeros(window.padded, np.int64)
        inside[: layout.shape[0], : layout.shape[1]] = points
        tensor = torch.from_numpy(inside[window.shown.slices].copy())[None].to(device)
        context = denoiser.prepare(
            encode_condition(tensor, [request.prompt], checkpoint.model.text)
        )
        height, width = window.shown.shape
        first = WindowNoise(seed, window.padded, window.shown.slices, device)
        noise = Noise(
            first.normal(3, height, width),
            first.normal(1, height, width),
            first.uniform(height, width),
        )
        known = Known(
            _encode(window, before, device), torch.from_numpy(window.mask)[None].to(device), noise
        )
    steps = sample(
        denoiser,
        context,
        ClampedSampler(
            registry.resolve("sampler", request.sampler)(schedule),
            known,
            schedule,
            denoiser.classes,
        ),
        schedule,
        WindowNoise(seed, window.padded, window.shown.slices, device),
        window.shown.shape,
        request.steps,
    )
    for step in steps:
        state = step.state
        progress = Progress(seed, 0, 1, step.index, request.steps)
        if request.preview_every and step.index % request.preview_every == 0:
            labels = decode_labels(step.clean.probabilities.argmax(1))[0]
            progress = replace(
                progress,
                image=window.paste(decode_image(step.clean.image)[0], record.image),
                labels=window.paste(labels, before.raw_labels),
            )
        yield progress
    raw = window.paste(decode_labels(state.labels)[0], before.raw_labels)
    distance = window.paste(decode_distance(state.distance)[0], record.distance)
    image = window.paste(decode_image(state.image)[0], record.image)
    source = f"{checkpoint.name} seed {seed}, edited"
    fresh, report = separated(image, raw, distance, layout, request, source)
    box = window.free
    provenance = {
        **before.provenance,
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


def _edit(before: Synthesis, layout: Layout) -> dict[str, Any]:
    """What leads back to the sample before: the points that differ and its recipe's own values."""

    def points(of: Layout) -> set[tuple[float, float, str]]:
        rows = zip(of.centroids, of.class_ids, strict=True)
        return {(float(y), float(x), of.classes.names[c]) for (y, x), c in rows}

    old, new = points(before.record.layout), points(layout)
    names = ("seed", "prompt", "sampler", "steps", "guidance")
    return {
        "removed": sorted(old - new),
        "added": sorted(new - old),
        "recipe": {name: before.recipe[name] for name in names},
    }


def _encode(window: _Window, before: Synthesis, device: torch.device) -> JointState:
    """The sample's window as a clean state of one."""
    image = window.crop(before.record.image).astype(np.float32).transpose(2, 0, 1) / 127.5 - 1
    distance = 2 * window.crop(before.record.distance).astype(np.float32) - 1
    labels = window.crop(before.raw_labels).astype(np.int64)
    state = JointState(
        torch.from_numpy(image)[None],
        torch.from_numpy(distance)[None, None],
        torch.from_numpy(labels)[None],
    )
    return state.to(device)
