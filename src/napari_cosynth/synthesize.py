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
from napari_cosynth.diffusion.sampler import Sampler
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.tensors import Denoiser
from napari_cosynth.drawing import Drawer
from napari_cosynth.geometry.instances import agreeing_labels, separate
from napari_cosynth.geometry.raster import point_map
from napari_cosynth.model.checkpoint import Checkpoint, load
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
    result cropped. A canvas with a side above ``drawing.LARGEST_WHOLE`` pixels is sampled by windows,
    and yields a :class:`Progress` after each of them. Raises ValueError, before the first step, on a
    class the checkpoint does not know, two points on one pixel, and a checkpoint, sampler or device
    that cannot be used.
    """
    device = choose_device(request.device)
    checkpoint = open_checkpoint(request.checkpoint, device)
    layout = fit_layout(request.layout, checkpoint)
    points = point_map(layout)
    sampler = registry.resolve("sampler", request.sampler)
    half = faster_in_bf16(device)
    provenance = provenance_of(checkpoint, request, device, half)
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
    grid = checkpoint.model.network.config.multiple
    height, width = layout.shape
    padded = np.zeros([canvas_side(n, grid) for n in layout.shape], np.uint8)
    padded[:height, :width] = points
    with torch.inference_mode():
        text = checkpoint.model.text([request.prompt])
    drawer = Drawer(request, denoiser, sampler, padded, layout.shape, text, grid, checkpoint.sha256)
    for index, (seed, drawings) in enumerate(zip(request.seeds, drawer.draw(), strict=True)):
        begun = time.perf_counter()
        for drawing in drawings:
            progress = Progress(
                seed, index, len(request.seeds), drawing.step, request.steps, part=drawing.part
            )
            last = drawing.step == request.steps
            wanted = request.preview_every and (last or drawing.step % request.preview_every == 0)
            if wanted and drawing.step and not drawing.part:
                image, labels = drawing.estimate()
                progress = replace(progress, image=image, labels=labels)
            if last:
                pixels = drawing.result()
            yield progress
        source = f"{checkpoint.name} seed {seed}"
        record, report = separated(
            pixels.image, pixels.labels, pixels.distance, layout, request, source
        )
        seconds = time.perf_counter() - begun
        yield Synthesis(record, request, seed, report, pixels.labels, seconds, provenance)


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


def canvas_side(pixels: int, multiple: int) -> int:
    """Pixels of a side once it is padded to what the network takes."""
    return -(-max(pixels, SMALLEST_CANVAS) // multiple) * multiple


def provenance_of(
    checkpoint: Checkpoint, request: Request, device: torch.device, half: bool
) -> dict[str, Any]:
    """What a recipe says beside the request: weights, device, precision, versions."""
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
