"""A sampler that keeps known pixels and samples the others; it wraps another sampler.

After each step the known part of the state is replaced by its clean values, corrupted to that step's
time (Lugmayr et al. 2022 for images; here labels too). Every step uses the same noise, the one that
the sample began with. So a known pixel moves on a straight path from this noise to its value, and its
estimates agree from step to step, as a multistep sampler expects.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_cosynth.diffusion import joint
from napari_cosynth.diffusion.sampler import Memory, NoiseSource, Sampler, SeededNoise
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.tensors import Clean, JointState, LabelHead


@dataclass(frozen=True)
class Known:
    """The known pixels and their values."""

    state: JointState
    """A clean state; its values count only where a mask is True."""
    image_mask: Tensor
    """bool (B, H, W): True where the image is known."""
    label_mask: Tensor
    """bool (B, H, W): True where labels and distance are known; all False for a real image, which has no
    annotated nuclei."""
    noise: joint.Noise
    """Noise that corrupts the known pixels."""


@dataclass
class ClampedSampler:
    """``sampler`` with the known pixels put back after every step; after the last without noise."""

    sampler: Sampler
    known: Known
    schedule: JointSchedule
    classes: int

    @property
    def before(self) -> Memory:
        return self.sampler.before

    @before.setter
    def before(self, memory: Memory) -> None:
        self.sampler.before = memory

    def nodes(self, steps: int) -> Tensor:
        return self.sampler.nodes(steps)

    def step(
        self,
        state: JointState,
        clean: Clean,
        head: LabelHead,
        t: Tensor,
        s: Tensor,
        noise: NoiseSource,
    ) -> JointState:
        free = self.sampler.step(state, clean, head, t, s, noise)
        known = self.known.state
        if float(s) > 0:
            times = s.expand(len(known.labels))
            known = joint.corrupt(known, self.known.noise, times, self.schedule, self.classes)
        image_mask, label_mask = self.known.image_mask, self.known.label_mask
        return JointState(
            torch.where(image_mask[:, None], known.image, free.image),
            torch.where(label_mask[:, None], known.distance, free.distance),
            torch.where(label_mask, known.labels, free.labels),
        )


class WindowNoise(SeededNoise):
    """A canvas' noise within a window: each pixel gets the noise that it has on the whole canvas."""

    def __init__(
        self,
        seed: int,
        canvas: tuple[int, int],
        window: tuple[slice, slice],
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__([seed], device)
        self.canvas = canvas
        self.window = window

    def normal(self, *shape: int) -> Tensor:
        """The window's part of the canvas' draw, float32 (1, *shape)."""
        whole = torch.randn((*shape[:-2], *self.canvas), generator=self.generators[0])
        return whole[(..., *self.window)][None].to(self.device)

    def uniform(self, *shape: int) -> Tensor:
        """The window's part of the canvas' uniform draw in [0, 1), float32 (1, *shape)."""
        whole = torch.rand((*shape[:-2], *self.canvas), generator=self.generators[0])
        return whole[(..., *self.window)][None].to(self.device)
