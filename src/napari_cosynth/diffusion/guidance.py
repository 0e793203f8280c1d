"""Classifier-free guidance of the text (Eq. 6): a denoiser that wraps a denoiser."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from napari_cosynth.diffusion.tensors import Condition, Context, Denoiser, JointState, Prediction


@dataclasses.dataclass(frozen=True)
class Guided:
    """w out(text) + (1 - w) out(null text) of raw outputs and label logits; both have the points.

    Both halves run as one batch of 2B. Use :func:`guided`, which saves the second half at w = 1.
    """

    denoiser: Denoiser
    weight: float

    @property
    def classes(self) -> int:
        return self.denoiser.classes

    def prepare(self, condition: Condition) -> Context:
        return self.denoiser.prepare(Condition.cat(condition, condition.null()))

    def __call__(self, state: JointState, t: Tensor, context: Context) -> Prediction:
        doubled = JointState(
            torch.cat([state.image, state.image]),
            torch.cat([state.distance, state.distance]),
            torch.cat([state.labels, state.labels]),
        )
        both = self.denoiser(doubled, torch.cat([t, t]), context)

        def mix(output: Tensor) -> Tensor:
            text, null = output.chunk(2)
            return self.weight * text + (1 - self.weight) * null

        return dataclasses.replace(
            both,
            image=mix(both.image),
            distance=mix(both.distance),
            label_logits=mix(both.label_logits),
        )


def guided(denoiser: Denoiser, weight: float) -> Denoiser:
    """``denoiser`` guided by ``weight``; ``denoiser`` itself where the weight is 1, at half the cost."""
    return denoiser if weight == 1 else Guided(denoiser, weight)
