"""Ways in which a picture of tissue can be poor, done to real patches: what the tile encoder learns."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

DAMAGES = 4
"""Blur, noise, random phases and wavering outlines."""
WARP = 4.0
"""Pixels of displacement at the most."""
ODDS = (0.25, 0.25, 0.5, 0.25)
"""How often each damage is done to a damaged patch."""


def damaged(x: Tensor, nuclei: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images (B, 3, H, W) in [-1, 1], two thirds of them damaged, and by how much, (B, DAMAGES).

    ``nuclei`` (B, 1, H, W) is 1 in nuclei: half of the clouds of random phases spare them, as poor
    samples do, whose nuclei come first.
    """
    amounts = torch.rand(len(x), DAMAGES, generator=generator)
    amounts *= torch.rand(amounts.shape, generator=generator) < torch.tensor(ODDS)
    # A third as they are, so that nothing else has to be told from the damages alone.
    amounts *= torch.rand(len(x), 1, generator=generator) < 2 / 3
    blur, noise, scramble, warp = amounts[:, :, None, None, None].unbind(1)
    x = warped(x, WARP * warp, generator)
    spared = F.avg_pool2d(nuclei, 5, 1, 2) * (torch.rand(scramble.shape, generator=generator) < 0.5)
    x = torch.lerp(x, scrambled(x, generator), scramble * (1 - spared))
    x = torch.lerp(x, F.avg_pool2d(x, 5, 1, 2, count_include_pad=False), blur)
    x = x + 0.3 * noise * torch.randn(x.shape, generator=generator)
    return x.clamp(-1, 1), amounts


def scrambled(x: Tensor, generator: torch.Generator) -> Tensor:
    """Clouds of the images' (B, C, H, W) own colours and power spectra: every phase is random.

    The same phases are added in each channel, which keeps what the colours have in common
    (Galerne et al. 2011).
    """
    noise = torch.randn(x.shape[0], 1, *x.shape[2:], generator=generator)
    phase = torch.fft.rfft2(noise)
    phase = phase / phase.abs().clamp_min(1e-12)
    mean = x.mean((2, 3), keepdim=True)
    cloud: Tensor = torch.fft.irfft2(torch.fft.rfft2(x - mean) * phase, s=x.shape[2:])
    return mean + cloud


def warped(x: Tensor, pixels: Tensor, generator: torch.Generator) -> Tensor:
    """The images (B, C, H, W) with outlines that waver: ``pixels`` (B, 1, 1, 1) of displacement."""
    height, width = x.shape[2:]
    coarse = (len(x), 2, max(2, height // 8), max(2, width // 8))
    field = torch.randn(coarse, generator=generator) * pixels
    field = F.interpolate(field, (height, width), mode="bicubic", align_corners=False)
    y, x_ = (torch.linspace(-1, 1, n) for n in (height, width))
    grid = torch.stack(torch.meshgrid(y, x_, indexing="ij")[::-1], -1)
    grid = grid + field.permute(0, 2, 3, 1) * torch.tensor([2 / width, 2 / height])
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=True)
