"""Corruption, clean estimate and losses of all three targets together (Eq. 1-5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_cosynth.diffusion import categorical, gaussian
from napari_cosynth.diffusion.schedule import T_MAX, CosineSchedule, JointSchedule
from napari_cosynth.diffusion.tensors import Clean, Context, Denoiser, JointState, Prediction


@dataclass(frozen=True)
class Noise:
    """The randomness of one corruption."""

    image: Tensor
    """Standard normal, (B, 3, H, W)."""
    distance: Tensor
    """Standard normal, (B, 1, H, W)."""
    labels: Tensor
    """Uniform in [0, 1), (B, H, W)."""

    @classmethod
    def draw(cls, batch: int, height: int, width: int, generator: torch.Generator) -> Noise:
        """Noise drawn on the CPU, so that a seed gives the same noise on every device."""
        return cls(
            torch.randn(batch, 3, height, width, generator=generator),
            torch.randn(batch, 1, height, width, generator=generator),
            torch.rand(batch, height, width, generator=generator),
        )

    @staticmethod
    def cat(parts: Sequence[Noise]) -> Noise:
        """Several batches as one."""
        return Noise(
            torch.cat([p.image for p in parts]),
            torch.cat([p.distance for p in parts]),
            torch.cat([p.labels for p in parts]),
        )

    def to(self, device: torch.device) -> Noise:
        """This noise on a device."""
        return Noise(self.image.to(device), self.distance.to(device), self.labels.to(device))


@dataclass(frozen=True)
class LossWeights:
    """lambda_i, lambda_d, lambda_l of Eq. 5, and how the losses are weighted over t."""

    image: float = 9.0
    distance: float = 1.0
    labels: float = 3.0
    low_noise: float = 0.0
    """Exponent g of min(1, 5 sigma^2)^g, the weight of image and distance errors at a time, where
    sigma^2 = 1 / (1 + SNR). 0 is the paper's; 1 is min-SNR-5 (Hang et al. 2023) for v. With 0.5 all
    times contribute about equally to the image's v error, as Karras et al. 2024 recommend."""
    p2: float = 0.0
    """Exponent g of a further weight, sigma^(2 g): P2's 1 / (1 + SNR)^g (Choi et al. 2022, k = 1)."""


@dataclass(frozen=True)
class Losses:
    """Mean losses per target, scalars."""

    image: Tensor
    distance: Tensor
    labels: Tensor

    def total(self, weights: LossWeights) -> Tensor:
        """The weighted sum of Eq. 5, a scalar."""
        return (
            weights.image * self.image
            + weights.distance * self.distance
            + weights.labels * self.labels
        )


def stratified_times(batch: int, generator: torch.Generator) -> Tensor:
    """One t per sample, float64 (B,), one in each of B equal parts of [0, T_MAX], shuffled."""
    offsets = torch.rand(batch, generator=generator, dtype=torch.float64)
    order = torch.randperm(batch, generator=generator)
    return T_MAX * (order + offsets) / batch


def corrupt(
    clean: JointState, noise: Noise, t: Tensor, schedule: JointSchedule, classes: int
) -> JointState:
    """u_t ~ q(u_t | u_0): all three targets at the same times ``t`` (B,)."""
    return JointState(
        gaussian.corrupt(clean.image, noise.image, t, schedule.image),
        gaussian.corrupt(clean.distance, noise.distance, t, schedule.distance),
        categorical.corrupt(clean.labels, noise.labels, t, schedule.labels, classes),
    )


def estimate(
    prediction: Prediction, state: JointState, t: Tensor, schedule: JointSchedule
) -> Clean:
    """The clean estimate from a (guided) raw prediction; the Gaussians are clipped here, once."""
    kind = prediction.parametrisation
    return Clean(
        gaussian.clean(prediction.image.float(), state.image, t, schedule.image, kind),
        gaussian.clean(prediction.distance.float(), state.distance, t, schedule.distance, kind),
        prediction.label_logits.float().softmax(1),
    )


def estimate_at(
    network: Denoiser, state: JointState, t: float, context: Context, schedule: JointSchedule
) -> Clean:
    """The clean estimate that ``network`` makes of a batch of states that are all at time ``t``."""
    times = torch.full((len(state.labels),), t, dtype=torch.float64)
    return estimate(network(state, times, context), state, times, schedule)


def losses(
    prediction: Prediction,
    clean: JointState,
    state: JointState,
    noise: Noise,
    t: Tensor,
    schedule: JointSchedule,
    weights: LossWeights | None = None,
) -> Losses:
    """Mean losses of a batch: MSE of the raw image and distance outputs, and the label loss.

    ``weights`` weights the MSE over t; by default all times count alike. The label loss is the
    cross-entropy of l_0 or the paper's variational bound, by the prediction's label head.
    """
    weights = weights or LossWeights()
    kind = prediction.parametrisation
    wanted_image = gaussian.target(clean.image, noise.image, t, schedule.image, kind)
    wanted_distance = gaussian.target(clean.distance, noise.distance, t, schedule.distance, kind)
    logits = prediction.label_logits.float()
    if prediction.label_head == "cross-entropy":
        label_loss = F.cross_entropy(logits, clean.labels)
    else:
        label_loss = categorical.bound(
            logits, clean.labels, state.labels, t, schedule.labels
        ).mean()

    def error(raw: Tensor, wanted: Tensor, process: CosineSchedule) -> Tensor:
        variance = process.sigma(t) ** 2
        weight = (5 * variance).clamp_max(1) ** weights.low_noise * variance**weights.p2
        return (gaussian.expand(weight, raw) * (raw - wanted) ** 2).mean()

    return Losses(
        error(prediction.image.float(), wanted_image, schedule.image),
        error(prediction.distance.float(), wanted_distance, schedule.distance),
        label_loss,
    )
