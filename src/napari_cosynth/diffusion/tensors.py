"""Batched tensors of the diffusion (states, conditions, predictions), and the denoiser's protocol."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

Parametrisation = Literal["epsilon", "v"]
LabelHead = Literal["cross-entropy", "kl"]


@dataclass(frozen=True)
class JointState:
    """u = (i, d, l), clean or noisy, a batch of B."""

    image: Tensor
    """float32 (B, 3, H, W), in [-1, 1] when clean."""
    distance: Tensor
    """float32 (B, 1, H, W), 2d - 1, in [-1, 1] when clean."""
    labels: Tensor
    """int64 (B, H, W), 0..K-1."""

    def __post_init__(self) -> None:
        b, h, w = self.labels.shape
        if self.image.shape != (b, 3, h, w) or self.distance.shape != (b, 1, h, w):
            raise ValueError(
                f"expected image ({b}, 3, {h}, {w}) and distance ({b}, 1, {h}, {w}), "
                f"got {tuple(self.image.shape)} and {tuple(self.distance.shape)}"
            )

    def to(self, *args: Any, **kwargs: Any) -> JointState:
        """``Tensor.to`` of all three. Meant for a device: a dtype would change the labels too."""
        return JointState(
            self.image.to(*args, **kwargs),
            self.distance.to(*args, **kwargs),
            self.labels.to(*args, **kwargs),
        )


@dataclass(frozen=True)
class Condition:
    """c = (points, text, look)."""

    points: Tensor
    """int64 (B, H, W): class id at each nucleus' pixel, 0 elsewhere."""
    text: Tensor
    """float32 (B, L, D): token embeddings."""
    text_mask: Tensor
    """bool (B, L): True at tokens; all False is the null text."""
    look: Tensor | None = None
    """float32 (B, N): the look to follow, in standard deviations from the training tiles' mean. Zeros or
    None: no look. Networks without a look ignore it."""

    def null(self) -> Condition:
        """The same points and look without the text (the second half of Eq. 6)."""
        return dataclasses.replace(self, text_mask=torch.zeros_like(self.text_mask))

    @staticmethod
    def cat(first: Condition, second: Condition) -> Condition:
        """Two batches as one."""
        return Condition(
            torch.cat([first.points, second.points]),
            torch.cat([first.text, second.text]),
            torch.cat([first.text_mask, second.text_mask]),
            None
            if first.look is None or second.look is None
            else torch.cat([first.look, second.look]),
        )


@dataclass(frozen=True)
class Prediction:
    """A network's raw output; guidance acts on it before the conversion to x_0."""

    image: Tensor
    """float32 (B, 3, H, W), in this prediction's parametrisation."""
    distance: Tensor
    """float32 (B, 1, H, W), in the same parametrisation."""
    label_logits: Tensor
    """float32 (B, K, H, W)."""
    parametrisation: Parametrisation
    label_head: LabelHead = "cross-entropy"
    """How the label head was trained, which decides the reverse step (method, section 3)."""


@dataclass(frozen=True)
class Clean:
    """The clean estimate of a state: x_0 for the Gaussians, probabilities for the labels."""

    image: Tensor
    """float32 (B, 3, H, W) in [-1, 1]."""
    distance: Tensor
    """float32 (B, 1, H, W) in [-1, 1]."""
    probabilities: Tensor
    """float32 (B, K, H, W)."""


@dataclass(frozen=True)
class Context:
    """A network's encoding of a condition, computed once per sample and used in every step."""

    points: Tensor
    """Point features, (B, C, h, w)."""
    text: Tensor
    """Text tokens, (B, L, D)."""
    text_mask: Tensor
    """bool (B, L)."""
    look: Tensor | None = None
    """float32 (B, N), as in the condition."""

    def in_look(self, look: Tensor | None) -> Context:
        """The same context with another look (1, N) in all rows."""
        rows = None if look is None else look.to(self.text.device).expand(len(self.text), -1)
        return dataclasses.replace(self, look=rows)


class Denoiser(Protocol):
    """Anything that predicts the clean state from a noisy one: a network, or a guided network."""

    @property
    def classes(self) -> int:
        """K, the background included."""
        ...

    def prepare(self, condition: Condition) -> Context:
        """The encoding of the condition, which does not depend on t."""
        ...

    def __call__(self, state: JointState, t: Tensor, context: Context) -> Prediction:
        """The raw prediction for a noisy state at times ``t``, (B,) in [0, 1]."""
        ...
