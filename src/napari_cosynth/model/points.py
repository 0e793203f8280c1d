"""The point encoder: point map -> features, by residual-in-residual dense blocks (Wang et al. 2018)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DenseBlock(nn.Module):
    """Five 3x3 convolutions, each with all earlier features as input; the last has ``channels``."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(channels + i * growth, growth if i < 4 else channels, 3, padding=1)
            for i in range(5)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        features = [x]
        for conv in self.convs[:-1]:
            features.append(F.leaky_relu(conv(torch.cat(features, 1)), 0.2))
        return x + 0.2 * self.convs[-1](torch.cat(features, 1))


class RRDB(nn.Sequential):
    """Three dense blocks inside one more residual, scaled by 0.2 as in ESRGAN."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__(*(DenseBlock(channels, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        inner = x
        for block in self:
            inner = block(inner)
        return x + 0.2 * inner


class PointEncoder(nn.Module):
    """Point map int64 (B, H, W) -> features (B, channels, H/patch, W/patch).

    A point is drawn as an indicator and a learned vector of its class, folded into channels by
    pixel-unshuffle. Both are multiplied by 4, so that one pixel among thousands has an effect. ``wide``
    is the number of residual 5x5 convolutions, which spread points over the size of a nucleus before the
    RRDBs refine them. With ``blur`` above 0 each point is drawn as a Gaussian of this sigma in pixels,
    with 1 at its peak.
    """

    gaussian: Tensor

    def __init__(
        self,
        classes: int,
        channels: int,
        patch: int,
        blocks: int,
        growth: int,
        wide: int = 0,
        class_width: int = 8,
        blur: float = 0.0,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.classes = nn.Embedding(classes, class_width)
        self.stem = nn.Conv2d((1 + class_width) * patch**2, channels, 3, padding=1)
        self.wide = nn.ModuleList(nn.Conv2d(channels, channels, 5, padding=2) for _ in range(wide))
        self.blocks = nn.ModuleList(RRDB(channels, growth) for _ in range(blocks))
        reach = torch.arange(-math.ceil(3 * blur), math.ceil(3 * blur) + 1)
        bell = torch.exp(-((reach / max(blur, 1e-6)) ** 2) / 2)
        self.register_buffer("gaussian", torch.outer(bell, bell)[None, None], persistent=False)

    def forward(self, points: Tensor) -> Tensor:
        """int64 (B, H, W) -> (B, channels, H/patch, W/patch)."""
        indicator = (points > 0).to(self.stem.weight.dtype).unsqueeze(1)
        classes = self.classes(points).movedim(-1, 1)
        drawn = torch.cat([indicator, indicator * classes], 1)
        if len(self.gaussian[0, 0]) > 1:
            kernel = self.gaussian.to(drawn.dtype).expand(drawn.shape[1], -1, -1, -1)
            drawn = F.conv2d(drawn, kernel, padding="same", groups=drawn.shape[1])
        x = F.pixel_unshuffle(4 * drawn, self.patch)
        x = self.stem(x)
        for conv in self.wide:
            x = x + conv(F.silu(x))
        for block in self.blocks:
            x = block(x)
        return x
