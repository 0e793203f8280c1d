"""Losses between a roll-out and the real patch of its layout: areas, look and spectrum."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_cosynth.model.looks import LookScale, describe
from napari_cosynth.records.spectrum import GREY, band_shares

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


def log_band_power(images: Tensor) -> Tensor:
    """The logarithm of ``spectrum.band_power``: float (B, 3, N, N) in [-1, 1] -> (B, 4).

    Of squared grey levels; of fewer bands where N is below 32 and the coarsest holds no bin.
    """
    side = images.shape[-1]
    window, weights = (
        torch.from_numpy(v).to(images.device, torch.float32) for v in band_shares(side)
    )
    mix = images.new_tensor(GREY, dtype=torch.float32)[:, None, None]
    grey = (images.float() * mix).sum(1) * 127.5
    grey = (grey - grey.mean((1, 2), keepdim=True)) * window
    power = torch.fft.fft2(grey).abs().square() / window.square().sum()
    return (power[:, None] * weights).sum((2, 3)).clamp_min(1e-3).log()
