"""Sampling of a window whose surroundings are held, in a sample or in a real image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_cosynth.diffusion.blend import blended
from napari_cosynth.diffusion.canvas_noise import CanvasNoise
from napari_cosynth.diffusion.clamp import ClampedSampler, Known, WindowNoise
from napari_cosynth.diffusion.sampler import NoiseSource, Step, initial_noise, sample
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.tensors import JointState
from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.frame import Frame
from napari_cosynth.model.checkpoint import Checkpoint
from napari_cosynth.model.encoding import (
    decode_image,
    decode_labels,
    encode_condition,
    encode_distances,
    encode_images,
    encode_labels,
)
from napari_cosynth.model.samplers import sampler_of
from napari_cosynth.synthesis.preparation import denoiser_of
from napari_cosynth.synthesis.previews import PreviewClock
from napari_cosynth.synthesis.trajectories import LARGEST_WHOLE
from napari_cosynth.types import Progress, Request

LARGEST_WINDOW = 1024
"""Largest side of a window in pixels. It is sampled at once, which takes about 3 GB at this size."""


@dataclass(frozen=True)
class Surroundings:
    """Known arrays of a whole canvas (H, W); of a real image only the image is known."""

    image: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8] | None = None
    distance: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Window:
    """The part of a canvas that the network sees, and the part of it that may change."""

    shown: Box
    """What the network sees, in pixels of the padded canvas."""
    free: Box
    """What may change, in pixels of the canvas and clipped to it."""
    frame: Frame
    held: npt.NDArray[np.bool_] | None = None
    """Pixels of ``free`` that may not change, bool of its shape; None: all may."""

    @classmethod
    def around(
        cls, free: Box, shape: tuple[int, int], multiple: int, context: int, smallest: int
    ) -> Window:
        """A window that shows ``context`` pixels around ``free``, and at least ``smallest`` a side.

        ``shape`` is the canvas' (H, W). Raises ValueError where the window is too large to be sampled at
        once.
        """
        frame = Frame(shape, multiple)
        free = free.clipped(shape)
        shown = free.moved(frame.box.y0, frame.box.x0).grown(context).at_least(smallest)
        shown = shown.aligned(multiple).moved_into(frame.padded)
        if max(shown.shape) > LARGEST_WINDOW:
            raise ValueError(
                f"region: expected at most {LARGEST_WINDOW} pixels a side with its surroundings, "
                f"got {shown.shape[0]} x {shown.shape[1]}"
            )
        return cls(shown, free, frame)

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """True where the window's pixels are known, bool (h, w); False in the canvas' margin."""
        known = np.zeros(self.shown.shape, bool)
        known[self._inside(self.part).slices] = True
        known[self._inside(self.free).slices] = False if self.held is None else self.held
        return known

    @property
    def part(self) -> Box:
        """The part of the canvas in the window, in pixels of the canvas."""
        canvas = self.frame.box
        return self.shown.moved(-canvas.y0, -canvas.x0).clipped(self.frame.shape)

    def _inside(self, box: Box) -> Box:
        """A box of the canvas in pixels of the window."""
        canvas = self.frame.box
        return box.moved(canvas.y0 - self.shown.y0, canvas.x0 - self.shown.x0)

    def crop(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The window's part of a canvas (H, W, ...), zeros in its margin."""
        out = np.zeros((*self.shown.shape, *array.shape[2:]), array.dtype)
        out[self._inside(self.part).slices] = array[self.part.slices]
        return out

    def of_canvas(self, patch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The pixels of :attr:`part` in a patch (h, w, ...) of the window, without the canvas' margin."""
        return patch[self._inside(self.part).slices]

    def paste(self, patch: npt.NDArray[Any], canvas: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A copy of ``canvas`` with the free part of ``patch`` in its place."""
        out = canvas.copy()
        out[self.free.slices] = self.freed(patch)
        return out

    def freed(self, patch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A copy of the free part of a patch (h, w, ...) of the window."""
        return patch[self._inside(self.free).slices].copy()


def sample_window(
    request: Request,
    checkpoint: Checkpoint,
    device: torch.device,
    points: npt.NDArray[np.uint8],
    window: Window,
    around: Surroundings,
    look: torch.Tensor | None = None,
) -> Iterator[Step]:
    """Yields the steps of a window, a batch of one, from noise to data.

    Known pixels keep their values, with each step's noise added. ``points`` is the canvas' point map,
    uint8 (H, W); ``look`` is standardised (1, N). The first seed is used, and each pixel gets the same
    noise as in a sample of the whole canvas.
    """
    schedule, seed = JointSchedule(), request.seeds[0]
    denoiser = denoiser_of(checkpoint, request.guidance, device)
    with torch.inference_mode():
        seen = torch.from_numpy(window.crop(points).astype(np.int64))[None].to(device)
        condition = encode_condition(seen, [request.prompt], checkpoint.model.text)
        context = denoiser.prepare(condition).in_look(look)
        noise = initial_noise(_noise(seed, window, device).at(0), *window.shown.shape)
        mask = torch.from_numpy(window.mask)[None].to(device)
        annotated = around.labels is not None and around.distance is not None
        labelled = mask if annotated else torch.zeros_like(mask)
        known = Known(_encode(window, around).to(device), mask, labelled, noise)
    sampler = sampler_of(checkpoint.config, request.sampler)(schedule)
    clamped = ClampedSampler(sampler, known, schedule, denoiser.classes)
    drawn = _noise(seed, window, device)
    # An edited sample has the noise that it began with; a real image has none, so its region is blended.
    draw = sample if annotated else blended
    yield from draw(denoiser, context, clamped, schedule, drawn, window.shown.shape, request.steps)


def progress_of(
    request: Request,
    clock: PreviewClock,
    step: Step,
    shown: Callable[[npt.NDArray[np.uint8], npt.NDArray[np.uint8]], tuple[Any, Any]],
) -> Progress:
    """A step's progress, with a preview where the clock wants one.

    ``shown`` makes the preview from the window's clean image, uint8 (h, w, 3), and its likeliest labels,
    uint8 (h, w).
    """
    progress = Progress(request.seeds[0], 0, 1, step.index, request.steps)
    if not clock.wanted(step.index):
        return progress
    labels = decode_labels(step.clean.probabilities.argmax(1))[0]
    image, labels = shown(decode_image(step.clean.image)[0], labels)
    return replace(progress, image=image, labels=labels)


def _noise(seed: int, window: Window, device: torch.device) -> NoiseSource:
    """The noise that a sample of the whole canvas has in the window."""
    if max(window.frame.shape) > LARGEST_WHOLE:
        return CanvasNoise(seed, window.shown, device)
    return WindowNoise(seed, window.frame.padded, window.shown.slices, device)


def _encode(window: Window, around: Surroundings) -> JointState:
    """The window's part as a clean state, a batch of one; zeros where nothing is known."""
    distance = torch.zeros((1, 1, *window.shown.shape))
    labels = torch.zeros((1, *window.shown.shape), dtype=torch.int64)
    if around.distance is not None:
        distance = encode_distances(window.crop(around.distance)[None])
    if around.labels is not None:
        labels = encode_labels(window.crop(around.labels)[None])
    return JointState(encode_images(window.crop(around.image)[None]), distance, labels)
