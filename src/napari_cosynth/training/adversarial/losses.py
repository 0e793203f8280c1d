"""Losses between a roll-out and the real patch of its layout: areas, look and spectrum."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_cosynth.model.looks import LookScale, describe
from napari_cosynth.records.spectrum import log_band_power

_LEAST_SHARE = 0.02
"""Of a patch's pixels: the areas of rarer classes are not taken relative to less."""


def area_error(made: Tensor, real: Tensor) -> Tensor:
    """Mean over rows of the classes' differences in area, each relative to the real area.

    ``made`` probabilities (B, K, H, W), ``real`` labels int (B, H, W); class 0, the background, is left
    out. A scalar.
    """
    classes = made.shape[1]
    areas = made[:, 1:].mean((2, 3))
    wanted = F.one_hot(real, classes)[..., 1:].float().mean((1, 2))
    return ((areas - wanted).abs() / wanted.clamp_min(_LEAST_SHARE)).sum(1).mean()


def look_error(made: Tensor, real: Tensor, scale: LookScale | None) -> Tensor:
    """Mean Huber error of the looks, in standard deviations.

    Images (B, 3, H, W) in [-1, 1]; 0 where there are none.
    """
    if scale is None or not len(made):
        return torch.zeros((), device=made.device)
    return F.smooth_l1_loss(scale.relative(describe(made)), scale.relative(describe(real)))


def power_error(made: Tensor, real: Tensor) -> Tensor:
    """Mean difference of the logarithms of the power in four bands.

    Images (B, 3, N, N) in [-1, 1]; 0 where there are none.

    A discriminator lets the balance of coarse and fine detail drift over thousands of steps; each row
    is therefore held to the spectrum of the real patch whose layout and look it has.
    """
    if not len(made):
        return torch.zeros((), device=made.device)
    return (log_band_power(made) - log_band_power(real)).abs().mean()
