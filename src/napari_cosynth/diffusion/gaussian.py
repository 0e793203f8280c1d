"""The Gaussian process of image and distance map: corruption, conversions, reverse steps."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_cosynth.diffusion.schedule import CosineSchedule
from napari_cosynth.diffusion.tensors import Parametrisation


def expand(value: Tensor, like: Tensor) -> Tensor:
    """A value (B,) or (), shaped to broadcast against ``like`` (B, ...), with its dtype and device."""
    value = value.to(device=like.device, dtype=like.dtype)
    return value.reshape(-1, *([1] * (like.ndim - 1)))


def corrupt(x0: Tensor, noise: Tensor, t: Tensor, schedule: CosineSchedule) -> Tensor:
    """x_t = alpha x_0 + sigma eps (Eq. 1); ``t`` (B,)."""
    return expand(schedule.alpha(t), x0) * x0 + expand(schedule.sigma(t), x0) * noise


def renoise(x_s: Tensor, noise: Tensor, s: Tensor, t: Tensor, schedule: CosineSchedule) -> Tensor:
    """x_t ~ q(x_t | x_s), t > s: the step back after a reverse step; ``noise`` is standard normal."""
    kept = schedule.alpha(t) / schedule.alpha(s)
    added = (schedule.sigma(t) ** 2 - kept**2 * schedule.sigma(s) ** 2).clamp_min(0).sqrt()
    return expand(kept, x_s) * x_s + expand(added, x_s) * noise


def target(
    x0: Tensor, noise: Tensor, t: Tensor, schedule: CosineSchedule, parametrisation: Parametrisation
) -> Tensor:
    """The network's training target: eps, or v = alpha eps - sigma x_0."""
    if parametrisation == "epsilon":
        return noise
    return expand(schedule.alpha(t), x0) * noise - expand(schedule.sigma(t), x0) * x0


def clean(
    raw: Tensor, x_t: Tensor, t: Tensor, schedule: CosineSchedule, parametrisation: Parametrisation
) -> Tensor:
    """x_0 from the network's raw output, clipped to [-1, 1]."""
    alpha, sigma = expand(schedule.alpha(t), x_t), expand(schedule.sigma(t), x_t)
    if parametrisation == "epsilon":
        estimate = (x_t - sigma * raw) / alpha.clamp_min(1e-8)
    else:
        estimate = alpha * x_t - sigma * raw
    return estimate.clamp(-1, 1)


def ancestral_step(
    x_t: Tensor, x0: Tensor, noise: Tensor, t: Tensor, s: Tensor, schedule: CosineSchedule
) -> Tensor:
    """A draw from q(x_s | x_t, x_0) (Eq. 4); ``noise`` is standard normal, ``s < t``."""
    abar_t, abar_s = schedule.alpha_bar(t), schedule.alpha_bar(s)
    a = abar_t / abar_s
    rest = (1 - abar_t).clamp_min(1e-20)
    mean = expand(abar_s.sqrt() * (1 - a) / rest, x_t) * x0
    mean = mean + expand(a.sqrt() * (1 - abar_s) / rest, x_t) * x_t
    deviation = ((1 - a) * (1 - abar_s) / rest).clamp_min(0).sqrt()
    return mean + expand(deviation, x_t) * noise


def multistep(
    x_t: Tensor,
    x0: Tensor,
    x0_previous: Tensor | None,
    t: Tensor,
    s: Tensor,
    t_previous: Tensor | None,
    schedule: CosineSchedule,
    noise: Tensor | None = None,
) -> Tensor:
    """x_s after one step of DPM-Solver++(2M) from t to s (Lu et al. 2022), of the SDE or of its flow.

    ``x0`` is the clean estimate at t, ``x0_previous`` the one at ``t_previous > t``; without the latter
    the step is of first order. With ``noise`` (standard normal) the step is SDE-DPM-Solver++(2M)
    (section 6 of the paper), without it the deterministic Algorithm 2. At s = 0 it returns the clean
    estimate.
    """
    if float(s) <= 0:
        return x0
    lambda_t, lambda_s = schedule.log_snr_half(t), schedule.log_snr_half(s)
    h = lambda_s - lambda_t
    d = x0
    if x0_previous is not None and t_previous is not None:
        r = (lambda_t - schedule.log_snr_half(t_previous)) / h
        weight = expand(1 / (2 * r), x_t)
        d = (1 + weight) * x0 - weight * x0_previous
    ratio = schedule.sigma(s) / schedule.sigma(t)
    if noise is None:
        return expand(ratio, x_t) * x_t - expand(schedule.alpha(s) * torch.expm1(-h), x_t) * d
    renewed = -torch.expm1(-2 * h)
    mean = expand(ratio * torch.exp(-h), x_t) * x_t + expand(schedule.alpha(s) * renewed, x_t) * d
    return mean + expand(schedule.sigma(s) * renewed.sqrt(), x_t) * noise
