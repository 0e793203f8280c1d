"""The cosine noise schedule, t -> (alpha, sigma) (method, section 2)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

T_MAX = 0.999
"""Time at which sampling starts. At t = 1 alpha is 0, and x_0 cannot be computed from epsilon."""


@dataclass(frozen=True)
class CosineSchedule:
    """abar(t) = cos^2(pi/2 (t+s)/(1+s)) / cos^2(pi/2 s/(1+s)), for t in [0, 1]."""

    s: float = 0.008

    def alpha_bar(self, t: Tensor) -> Tensor:
        """The signal's share of the variance, float64 in t's shape."""
        angle = (math.pi / 2) * (t.double() + self.s) / (1 + self.s)
        return (angle.cos() ** 2 / math.cos((math.pi / 2) * self.s / (1 + self.s)) ** 2).clamp(0, 1)

    def alpha(self, t: Tensor) -> Tensor:
        """The signal's amplitude, float64 in t's shape."""
        return self.alpha_bar(t).sqrt()

    def sigma(self, t: Tensor) -> Tensor:
        """The noise's amplitude, float64 in t's shape; alpha^2 + sigma^2 = 1."""
        return (1 - self.alpha_bar(t)).sqrt()

    def log_snr_half(self, t: Tensor) -> Tensor:
        """lambda = log(alpha / sigma); infinite at t = 0."""
        return self.alpha(t).log() - self.sigma(t).log()


@dataclass(frozen=True)
class JointSchedule:
    """One schedule per target, equal by default (paper 3.2)."""

    image: CosineSchedule = field(default_factory=CosineSchedule)
    distance: CosineSchedule = field(default_factory=CosineSchedule)
    labels: CosineSchedule = field(default_factory=CosineSchedule)


def uniform_nodes(steps: int, last: float | None = None) -> Tensor:
    """A sampler's times from noise to 0, float64 (steps + 1,): T_MAX (1 - i/steps).

    With ``last`` the strides down to that time are equal, and the last step goes from there to 0.
    Raises ValueError where ``steps`` is below 1.
    """
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")
    if last is None or steps == 1:
        return T_MAX * (1 - torch.arange(steps + 1, dtype=torch.float64) / steps)
    return torch.cat(
        [torch.linspace(T_MAX, last, steps, dtype=torch.float64), torch.zeros(1).double()]
    )
