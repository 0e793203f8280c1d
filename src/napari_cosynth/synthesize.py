"""Request -> progress and samples: the one way in, for the shell and the widget alike."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import napari_cosynth
from napari_cosynth import registry
from napari_cosynth.diffusion.guidance import guided
from napari_cosynth.diffusion.sampler import Sampler, SeededNoise, sample
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.tensors import Denoiser
from napari_cosynth.geometry.instances import agreeing_labels, separate
from napari_cosynth.geometry.raster import point_map
from napari_cosynth.model.checkpoint import Checkpoint, load
from napari_cosynth.model.encoding import (
    decode_distance,
    decode_image,
    decode_labels,
    encode_condition,
)
from napari_cosynth.model.precision import InBfloat16, choose_device, faster_in_bf16
from napari_cosynth.types import Layout, Progress, Record, Report, Request, Synthesis

logger = logging.getLogger(__name__)


@lru_cache(maxsize=2)
def open_checkpoint(name: str, device: torch.device) -> Checkpoint:
    """A checkpoint on a device, kept for the next request."""
    checkpoint = load(name)
    checkpoint.model.to(device)
    return checkpoint


SMALLEST_CANVAS = 64
"""Pixels; the network was never trained on less, so smaller canvases are padded to it."""


def synthesize(request: Request) -> Iterator[Progress | Synthesis]:
    """Yields a :class:`Progress` after each step, and after a sample's last its :class:`Synthesis`.

    An iterator that can be closed to cancel. Samples are made one at a time, so that a seed gives
    the same pixels alone and among others. The layout is scaled to the checkpoint's µm/px, where the
    results stay; its canvas is padded at the bottom and right to the network's multiple, and the
    result cropped. Raises ValueError, before the first step, on a class the checkpoint does not
    know, two points on one pixel, and a checkpoint, sampler or device that cannot be used.
    """
    device = choose_device(request.device)
    checkpoint = open_checkpoint(request.checkpoint, device)
    layout = fit_layout(request.layout, checkpoint)
    points = point_map(layout)
    sampler = registry.resolve("sampler", request.sampler)
    half = faster_in_bf16(device)
    provenance = _provenance(checkpoint, request, device, half)
    if unknown := provenance["unknown_words"]:
        logger.warning("the checkpoint's text encoder does not know: %s", ", ".join(unknown))
    denoiser = guided(checkpoint.model.network, request.guidance)
    if half:
        denoiser = InBfloat16(denoiser, device)
    return _samples(request, checkpoint, layout, points, denoiser, sampler, provenance)


def fit_layout(layout: Layout, checkpoint: Checkpoint) -> Layout:
    """The layout in the checkpoint's classes (by name) and on its grid (by µm/px)."""
    table = np.zeros(len(layout.classes), np.uint8)
    for used in np.unique(layout.class_ids):
        table[used] = checkpoint.classes.index(layout.classes.names[used])
    return Layout(
        layout.centroids,
        table[layout.class_ids],
        layout.shape,
        layout.mpp,
        checkpoint.classes,
    ).scaled_to(checkpoint.config.mpp)


def _samples(
    request: Request,
    checkpoint: Checkpoint,
    layout: Layout,
    points: npt.NDArray[np.uint8],
    denoiser: Denoiser,
    sampler: Callable[[JointSchedule], Sampler],
    provenance: dict[str, Any],
) -> Iterator[Progress | Synthesis]:
    height, width = layout.shape
    shape = tuple(_padded(n, checkpoint.model.network.config.multiple) for n in layout.shape)
    padded = np.zeros(shape, np.int64)
    padded[:height, :width] = points
    device = next(checkpoint.model.parameters()).device
    schedule = JointSchedule()
    with torch.inference_mode():
        tensor = torch.from_numpy(padded)[None].to(device)
        condition = encode_condition(tensor, [request.prompt], checkpoint.model.text)
        context = denoiser.prepare(condition)
    for index, seed in enumerate(request.seeds):
        begun = time.perf_counter()
        noise = SeededNoise([seed], device)
        steps = sample(
            denoiser,
            context,
            sampler(schedule),
            schedule,
            noise,
            (shape[0], shape[1]),
            request.steps,
        )
        for step in steps:
            progress = Progress(seed, index, len(request.seeds), step.index, request.steps)
            last = step.index == request.steps
            if request.preview_every and (last or step.index % request.preview_every == 0):
                progress = replace(
                    progress,
                    image=decode_image(step.clean.image)[0, :height, :width],
                    labels=decode_labels(step.clean.probabilities.argmax(1))[0, :height, :width],
                )
            state = step.state
            yield progress
        raw = np.ascontiguousarray(decode_labels(state.labels)[0, :height, :width])
        distance = np.ascontiguousarray(decode_distance(state.distance)[0, :height, :width])
        image = np.ascontiguousarray(decode_image(state.image)[0, :height, :width])
        source = f"{checkpoint.name} seed {seed}"
        record, report = separated(image, raw, distance, layout, request, source)
        seconds = time.perf_counter() - begun
        yield Synthesis(record, request, seed, report, raw, seconds, provenance)


def separated(
    image: npt.NDArray[np.uint8],
    raw: npt.NDArray[np.uint8],
    distance: npt.NDArray[np.float32],
    layout: Layout,
    request: Request,
    source: str,
) -> tuple[Record, Report]:
    """A sample's record with its instances, and semantic labels that agree with them.

    ``image`` (H, W, 3), ``raw`` labels (H, W) and ``distance`` (H, W) in [0, 1] as they were sampled.
    """
    instances, report = separate(raw, distance, layout)
    record = Record(
        image=image,
        instances=instances,
        labels=agreeing_labels(instances, raw, len(layout.classes)),
        distance=distance,
        layout=layout,
        mpp=layout.mpp,
        tissue=request.tissue,
        source=source,
        stain=request.stain,
    )
    return record, report


def _padded(pixels: int, multiple: int) -> int:
    return -(-max(pixels, SMALLEST_CANVAS) // multiple) * multiple


def _provenance(
    checkpoint: Checkpoint, request: Request, device: torch.device, half: bool
) -> dict[str, Any]:
    return {
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": checkpoint.sha256,
        "device": str(device),
        "precision": "bfloat16" if half else "float32",
        "threads": torch.get_num_threads() if device.type == "cpu" else None,
        "unknown_words": checkpoint.model.text.unknown(request.prompt),
        "versions": package_versions(),
    }


def package_versions() -> dict[str, str]:
    """The versions that a sample's pixels may depend on."""
    packages = ("torch", "numpy", "scikit-image", "transformers")
    return {
        "napari-cosynth": napari_cosynth.__version__,
        **{name: metadata.version(name) for name in packages},
    }
