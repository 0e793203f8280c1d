"""Known pixels held fast while the others are sampled: a sampler that wraps a sampler.

After each step the known part of the state is replaced by the clean values, corrupted to that
step's level (Lugmayr et al. 2022 for images; here labels too). The same noise is used at every
level: it is the noise the sample began with, so that a known pixel moves along the straight path
from it to its value and the estimates there, which a multistep sampler remembers, agree.
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
    """What is not to change."""

    state: JointState
    """Clean; its values count only where a mask is True."""
    image_mask: Tensor
    """Where the image is known, bool (B, H, W)."""
    label_mask: Tensor
    """Where labels and distance are: nowhere in a real image, whose nuclei nobody has drawn."""
    noise: joint.Noise
    """What the known pixels are corrupted with."""


@dataclass
class ClampedSampler:
    """``sampler``, with the known pixels put back after every step; exactly so after the last."""

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
    """The noise of a whole canvas, seen through a window: the same pixels get the same noise."""

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
        """The same of uniform draws in [0, 1)."""
        whole = torch.rand((*shape[:-2], *self.canvas), generator=self.generators[0])
        return whole[(..., *self.window)][None].to(self.device)
