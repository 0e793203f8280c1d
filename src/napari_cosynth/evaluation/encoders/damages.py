"""Damages of real patches, such as poor samples show, from which the tile encoder learns."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

DAMAGES = 4
"""Number of damages: blur, noise, random phases and wavering outlines."""
WARP = 4.0
"""Displacement of outlines at full damage, in pixels (standard deviation)."""
ODDS = (0.25, 0.25, 0.5, 0.25)
"""Probability of each damage in a damaged patch."""


def damaged(x: Tensor, nuclei: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images (B, 3, H, W) in [-1, 1], two thirds of them damaged, and amounts (B, DAMAGES) in [0, 1].

    ``nuclei`` (B, 1, H, W) is 1 in nuclei. Half of the clouds of random phases leave nuclei as they are,
    because poor samples too have better nuclei than background.
    """
    amounts = torch.rand(len(x), DAMAGES, generator=generator)
    amounts *= torch.rand(amounts.shape, generator=generator) < torch.tensor(ODDS)
    # A third are undamaged, so that the network also sees tissue as it is.
    amounts *= torch.rand(len(x), 1, generator=generator) < 2 / 3
    blur, noise, scramble, warp = amounts[:, :, None, None, None].unbind(1)
    x = warped(x, WARP * warp, generator)
    spared = F.avg_pool2d(nuclei, 5, 1, 2) * (torch.rand(scramble.shape, generator=generator) < 0.5)
    x = torch.lerp(x, scrambled(x, generator), scramble * (1 - spared))
    x = torch.lerp(x, F.avg_pool2d(x, 5, 1, 2, count_include_pad=False), blur)
    x = x + 0.3 * noise * torch.randn(x.shape, generator=generator)
    return x.clamp(-1, 1), amounts


def scrambled(x: Tensor, generator: torch.Generator) -> Tensor:
    """Images (B, C, H, W) with random phases: clouds with their own mean colours and power spectra.

    The same phases are added in each channel, which keeps the correlation of the channels (Galerne et al.
    2011).
    """
    noise = torch.randn(x.shape[0], 1, *x.shape[2:], generator=generator)
    phase = torch.fft.rfft2(noise)
    phase = phase / phase.abs().clamp_min(1e-12)
    mean = x.mean((2, 3), keepdim=True)
    cloud: Tensor = torch.fft.irfft2(torch.fft.rfft2(x - mean) * phase, s=x.shape[2:])
    return mean + cloud


def warped(x: Tensor, pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Images (B, C, H, W) with wavering outlines; ``pixels`` (B, 1, 1, 1) scales the displacement."""
    height, width = x.shape[2:]
    coarse = (len(x), 2, max(2, height // 8), max(2, width // 8))
    field = torch.randn(coarse, generator=generator) * pixels
    field = F.interpolate(field, (height, width), mode="bicubic", align_corners=False)
    y, x_ = (torch.linspace(-1, 1, n) for n in (height, width))
    grid = torch.stack(torch.meshgrid(y, x_, indexing="ij")[::-1], -1)
    grid = grid + field.permute(0, 2, 3, 1) * torch.tensor([2 / width, 2 / height])
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=True)
