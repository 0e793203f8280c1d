"""Trajectories: each seed's states from noise to pixels, of a canvas at once or by windows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from napari_cosynth.diffusion.canvas import Canvas
from napari_cosynth.diffusion.canvas_noise import CanvasNoise
from napari_cosynth.diffusion.point_features import PointFeatures
from napari_cosynth.diffusion.sampler import Sampler, SeededNoise, Step, sample
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.scratch import Scratch, folder_of
from napari_cosynth.diffusion.tensors import Condition, Denoiser
from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.frame import Frame
from napari_cosynth.geometry.windows import Windows
from napari_cosynth.model.encoding import decode_distance, decode_image, decode_labels
from napari_cosynth.types import Request

LARGEST_WHOLE = 512
"""Longest side in pixels of a canvas that is sampled at once; a larger one is sampled by windows. The
network was trained on patches of 128 pixels, and a pass takes memory in proportion to the canvas: about
0.7 GB for 512 x 512."""
ROWS = 256
"""Rows of a large canvas that are decoded at a time."""


@dataclass(frozen=True)
class Pixels:
    """Decoded arrays of a canvas (H, W), in the dtypes and ranges of :class:`Record`."""

    image: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    distance: npt.NDArray[np.float32]


class CanvasState(Protocol):
    """A canvas after some of its steps."""

    @property
    def step(self) -> int:
        """Finished steps."""
        ...

    @property
    def part(self) -> float:
        """Finished share of the next step, 0..1."""
        ...

    @property
    def visible(self) -> bool:
        """Whether there is a clean estimate of any part of the canvas."""
        ...

    def estimate(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Clean image, uint8 (H, W, 3), and labels, uint8 (H, W), as estimated by the last step.

        Where the next step has already been computed, they are from that.
        """
        ...

    def result(self) -> Pixels:
        """The finished sample, after the last step."""
        ...


class Trajectories:
    """The states of a request's seeds on one canvas.

    ``points`` is the point map of the canvas, uint8 (H, W); ``frame`` gives the canvas' place in the
    padded canvas that the network sees. ``text`` is the encoded prompt and its mask; ``weights`` is the
    SHA-256 of the weights. ``looks`` has each seed's look, standardised (1, N), or None. ``scratch`` is
    the folder in which a canvas sampled by windows keeps its state. Everything that does not depend on
    the seed is computed once.
    """

    def __init__(
        self,
        request: Request,
        denoiser: Denoiser,
        sampler: Callable[[JointSchedule], Sampler],
        points: npt.NDArray[np.uint8],
        frame: Frame,
        text: tuple[torch.Tensor, torch.Tensor],
        weights: str,
        looks: Sequence[torch.Tensor | None],
        scratch: Path | None = None,
    ) -> None:
        self.request = request
        self.denoiser = denoiser
        self.sampler = sampler
        self.points = frame.pad(points)
        self.frame = frame
        self.text = text
        self.windows = Windows(grid=frame.multiple)
        self.looks = looks
        self.scratch = scratch
        self.weights = weights
        self.schedule = JointSchedule()
        self.device = text[0].device

    def of_seeds(self) -> Iterator[Iterator[CanvasState]]:
        """The states of each seed in turn, from the first step to the last."""
        padded = self.frame.padded
        if max(self.frame.shape) <= LARGEST_WHOLE:
            with torch.inference_mode():
                context = self.denoiser.prepare(self._condition(Box(0, 0, *padded)))
            for seed, look in zip(self.request.seeds, self.looks, strict=True):
                steps = sample(
                    self.denoiser,
                    context.in_look(look),
                    self.sampler(self.schedule),
                    self.schedule,
                    SeededNoise([seed], self.device),
                    padded,
                    self.request.steps,
                )
                yield (_Whole(step.index, 0.0, self.frame, step) for step in steps)
            return
        features = PointFeatures(self.denoiser, self._condition, padded)
        try:
            for seed, look in zip(self.request.seeds, self.looks, strict=True):
                features.look = look
                yield self._by_windows(seed, features)
        finally:
            features.close()

    def _by_windows(self, seed: int, features: PointFeatures) -> Iterator[CanvasState]:
        folder = folder_of(self.scratch, seed) if self.scratch else None
        scratch = Scratch(folder, self._identity(seed, features.look))
        canvas = Canvas(
            self.denoiser,
            features,
            self.sampler,
            self.schedule,
            CanvasNoise(seed, Box(0, 0, *features.shape), self.device),
            self.request.steps,
            scratch,
            self.windows,
            # A batch uses a whole GPU; on a CPU it only takes more memory.
            8 if self.device.type == "cuda" else 1,
        )
        try:
            for step in canvas.run():
                yield _Windowed(step.index, step.part, self.frame, step.canvas)
        finally:
            scratch.close()

    def _condition(self, box: Box) -> Condition:
        points = torch.from_numpy(self.points[box.slices].astype(np.int64))[None]
        return Condition(points.to(self.device), *self.text)

    def _identity(self, seed: int, look: torch.Tensor | None) -> str:
        """Hash of everything that the pixels depend on, equal for two runs that make the same pixels."""
        facts = [
            self.weights,
            self.request.stored(seed),
            self.device.type,
            type(self.denoiser).__name__,
            self.windows.side,
            self.windows.overlap,
            None if look is None else look.tolist(),
            self.windows.grid,
            self.points.shape,
        ]
        digest = hashlib.sha256(json.dumps(facts).encode())
        digest.update(self.points.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class _Whole:
    """A canvas that is sampled at once."""

    step: int
    part: float
    frame: Frame
    of: Step

    @property
    def visible(self) -> bool:
        return True

    def estimate(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        clean = self.of.clean
        labels = decode_labels(clean.probabilities.argmax(1))[0]
        return self.frame.cut(decode_image(clean.image)[0]), self.frame.cut(labels)

    def result(self) -> Pixels:
        state = self.of.state
        return Pixels(
            self.frame.cut(decode_image(state.image)[0]),
            self.frame.cut(decode_labels(state.labels)[0]),
            self.frame.cut(decode_distance(state.distance)[0]),
        )


@dataclass(frozen=True)
class _Windowed:
    """A canvas that is sampled by windows; its arrays are read from the disk, some rows at a time."""

    step: int
    part: float
    frame: Frame
    canvas: Canvas

    @property
    def visible(self) -> bool:
        return self.canvas.visible

    def estimate(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        height, width = self.frame.shape
        image = np.empty((height, width, 3), np.uint8)
        labels = np.empty((height, width), np.uint8)
        columns = self.frame.box.slices[1]
        for rows, there in self._bands():
            clean, likeliest = self.canvas.estimate(*there)
            image[rows] = decode_image(clean)[0][:, columns]
            labels[rows] = decode_labels(likeliest)[0][:, columns]
        return image, labels

    def result(self) -> Pixels:
        height, width = self.frame.shape
        made = Pixels(
            np.empty((height, width, 3), np.uint8),
            np.empty((height, width), np.uint8),
            np.empty((height, width), np.float32),
        )
        columns = self.frame.box.slices[1]
        for rows, there in self._bands():
            state = self.canvas.state(*there)
            made.image[rows] = decode_image(state.image)[0][:, columns]
            made.labels[rows] = decode_labels(state.labels)[0][:, columns]
            made.distance[rows] = decode_distance(state.distance)[0][:, columns]
        return made

    def _bands(self) -> Iterator[tuple[slice, tuple[int, int]]]:
        """Bands of rows: their slice of the canvas, and their range [y0, y1) on the padded canvas."""
        height, top = self.frame.shape[0], self.frame.box.y0
        for y in range(0, height, ROWS):
            end = min(height, y + ROWS)
            yield slice(y, end), (top + y, top + end)
