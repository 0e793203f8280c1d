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
from napari_cosynth.diffusion.sampler import Sampler, SeededNoise
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.tensors import Clean, JointState, LabelHead


@dataclass(frozen=True)
class Known:
    """What is not to change."""

    state: JointState
    """Clean; its values count only where ``mask`` is True."""
    mask: Tensor
    """bool (B, H, W)."""
    noise: joint.Noise
    """What the known pixels are corrupted with."""
    image: bool = True
    """False: only labels and distance are known; the image is sampled everywhere."""


@dataclass(frozen=True)
class ClampedSampler:
    """``sampler``, with the known pixels put back after every step; exactly so after the last."""

    sampler: Sampler
    known: Known
    schedule: JointSchedule
    classes: int

    def nodes(self, steps: int) -> Tensor:
        return self.sampler.nodes(steps)

    def step(
        self,
        state: JointState,
        clean: Clean,
        head: LabelHead,
        t: Tensor,
        s: Tensor,
        noise: SeededNoise,
    ) -> JointState:
        free = self.sampler.step(state, clean, head, t, s, noise)
        known = self.known.state
        if float(s) > 0:
            times = s.expand(len(known.labels))
            known = joint.corrupt(known, self.known.noise, times, self.schedule, self.classes)
        mask = self.known.mask
        return JointState(
            torch.where(mask[:, None], known.image, free.image) if self.known.image else free.image,
            torch.where(mask[:, None], known.distance, free.distance),
            torch.where(mask, known.labels, free.labels),
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
        whole = torch.randn((*shape[:-2], *self.canvas), generator=self.generators[0])
        return whole[(..., *self.window)][None].to(self.device)

    def uniform(self, *shape: int) -> Tensor:
        whole = torch.rand((*shape[:-2], *self.canvas), generator=self.generators[0])
        return whole[(..., *self.window)][None].to(self.device)
