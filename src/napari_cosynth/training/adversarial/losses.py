"""Losses between a roll-out and the real patch of its layout: areas, look and spectrum."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from skimage.color import hed_from_rgb
from torch import Tensor

from napari_cosynth.model.looks import LookScale, describe
from napari_cosynth.records.spectrum import GREY, band_shares

_LEAST_SHARE = 0.02
"""Smallest share of a patch that an area's error is taken relative to, for rare classes."""

_DARKEST = 1 / 256
"""Least value of a channel, as a share of its range; below it the logarithm grows without bound."""


def area_error(made: Tensor, real: Tensor) -> Tensor:
    """Relative errors of the classes' areas, summed over classes, mean over rows; a scalar.

    ``made`` are probabilities (B, K, H, W), ``real`` labels int (B, H, W). Class 0, the background, is
    left out.
    """
    classes = made.shape[1]
    areas = made[:, 1:].mean((2, 3))
    wanted = F.one_hot(real, classes)[..., 1:].float().mean((1, 2))
    return ((areas - wanted).abs() / wanted.clamp_min(_LEAST_SHARE)).sum(1).mean()


def look_error(made: Tensor, real: Tensor, scale: LookScale | None) -> Tensor:
    """Mean Huber error of the looks, in standard deviations.

    Images (B, 3, H, W) in [-1, 1]. It is 0 for no images or no scale.
    """
    if scale is None or not len(made):
        return torch.zeros((), device=made.device)
    return F.smooth_l1_loss(scale.relative(describe(made)), scale.relative(describe(real)))


def power_error(made: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference of the log power in four bands.

    Images (B, 3, N, N) in [-1, 1]. It is 0 for no images.

    With a discriminator alone the balance of coarse and fine detail drifts over thousands of steps. So
    each row is compared with the spectrum of the real patch that has its layout and look.
    """
    if not len(made):
        return torch.zeros((), device=made.device)
    return (log_band_power(made) - log_band_power(real)).abs().mean()


def separation_error(
    made: Tensor, made_labels: Tensor, real: Tensor, real_labels: Tensor
) -> Tensor:
    """Mean absolute difference in the contrast of nuclei in haematoxylin (:func:`separation`).

    Images (B, 3, H, W) in [-1, 1], ``made_labels`` probabilities (B, K, H, W), ``real_labels`` int
    (B, H, W). It is 0 for no images.

    With a discriminator alone the model paints every nucleus dark and everything else pale. A segmenter
    trained on such samples then finds real tissue harder than them.
    """
    if not len(made):
        return torch.zeros((), device=made.device)
    there = (real_labels > 0).float()
    return (separation(made, 1 - made_labels[:, 0]) - separation(real, there)).abs().mean()


def separation(images: Tensor, nuclei: Tensor) -> Tensor:
    """Difference of mean haematoxylin between nuclei and the rest in standard deviations, (B,).

    Images (B, 3, H, W) in [-1, 1]; ``nuclei`` (B, H, W) in 0..1 weights each pixel as nucleus. The
    variance is the mean of both parts' variances. Two normal densities d apart have a ROC AUC of
    Phi(d / sqrt 2). The difference is 0 where there are no nuclei, or nothing but nuclei.
    """
    levels = (images.float().clamp(-1, 1) + 1) / 2
    density = levels.clamp_min(_DARKEST).log() / math.log(1e-6)
    mix = density.new_tensor(hed_from_rgb[:, 0].astype("float32"))[:, None, None]
    stain = (density * mix).sum(1).clamp_min(0)
    means, variances = [], []
    for part in (nuclei, 1 - nuclei):
        share = part / part.sum((1, 2), keepdim=True).clamp_min(1)
        mean = (share * stain).sum((1, 2))
        means.append(mean)
        variances.append((share * (stain - mean[:, None, None]) ** 2).sum((1, 2)))
    both = (nuclei.amax((1, 2)) > 0.5) & (nuclei.amin((1, 2)) < 0.5)
    apart = (means[0] - means[1]) / ((variances[0] + variances[1]) / 2 + 1e-8).sqrt()
    return torch.where(both, apart, 0.0)


def log_band_power(images: Tensor) -> Tensor:
    """The logarithm of ``spectrum.band_power``, (B, 4), of images, float (B, 3, N, N) in [-1, 1].

    Power is in squared grey levels. There are fewer bands where N is below 32, since the coarsest is then
    empty.
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
