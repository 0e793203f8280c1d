"""A projected discriminator: is this image, with these labels and distances, a real patch?

Its heads judge frozen features of an ImageNet network (Sauer et al. 2021). On few tiles they learn in a
few hundred steps, where a discriminator trained from scratch does not. Every head also sees the one-hot
labels and the distance map at its own size, so that it judges whether image and labels agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_cosynth.model.efficientnet import STAGES, EfficientNetLite0
from napari_cosynth.training.config import DiscriminatorConfig

_FOLD = 2
"""Side in pixels of the squares that are folded into channels for the head on pixels."""


@dataclass(frozen=True)
class Judged:
    """The input of a discriminator."""

    image: Tensor
    """Float (B, 3, H, W) in [-1, 1]."""
    distance: Tensor
    """Float (B, 1, H, W) in [-1, 1]."""
    labels: Tensor
    """One-hot, float (B, K, H, W)."""

    def detached(self) -> Judged:
        """The same tensors, detached from their gradients."""
        return Judged(self.image.detach(), self.distance.detach(), self.labels.detach())


def hinge_of_discriminator(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """max(0, 1 - D(real)) + max(0, 1 + D(fake)), the mean over each head's map, summed over heads."""
    pairs = zip(real, fake, strict=True)
    return torch.stack([F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in pairs]).sum()


class _Head(nn.Module):
    """A score at every place, by convolutions 1x1 (3x3 for pixels), 3x3 with GroupNorm, 1x1 (3x3)."""

    def __init__(self, inputs: int, width: int, kernel: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, width, kernel, padding=kernel // 2)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.GroupNorm(8, width)
        self.score = nn.Conv2d(width, 1, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) -> (B, 1, h, w)."""
        x = F.leaky_relu(self.first(x), 0.2)
        scored: Tensor = self.score(F.leaky_relu(self.norm(self.second(x)), 0.2))
        return scored


class Discriminator(nn.Module):
    """Heads on the features of ``network``, which is frozen and not part of the state."""

    scale: Tensor

    def __init__(
        self, config: DiscriminatorConfig, classes: int, network: EfficientNetLite0
    ) -> None:
        super().__init__()
        self.config = config
        self._network = [
            network
        ]  # in a list, so that torch neither saves nor trains it with this module
        widths = [width for repeats, *_, width in STAGES for _ in range(repeats)]
        beside = classes + 1
        self.heads = nn.ModuleList(
            _Head(widths[block] + beside, config.width) for block in config.blocks
        )
        self.pixels = _Head(_FOLD**2 * (3 + beside), config.width, 3) if config.pixels else None
        self.register_buffer("scale", torch.zeros(len(config.blocks)))

    def features(self, images: Tensor) -> list[Tensor]:
        """Feature maps of images (B, 3, H, W), differentiable in the images.

        Each map is divided by its standard deviation on the first batch that was ever passed.
        """
        network = self._network[0].to(images.device)
        large = F.interpolate(
            images, scale_factor=self.config.magnify, mode="bilinear", align_corners=False
        )
        maps = network.after(large, self.config.blocks)
        if not self.scale.any():
            with torch.no_grad():
                self.scale.copy_(torch.stack([m.float().std() for m in maps]))
        return [m / s for m, s in zip(maps, self.scale, strict=True)]

    def forward(self, judged: Judged, features: Sequence[Tensor]) -> list[Tensor]:
        """A map of scores per head, above 0 for real; ``features`` are those of the judged image."""
        beside = torch.cat([judged.distance, judged.labels], 1)
        scores = [
            head(torch.cat([f, F.adaptive_avg_pool2d(beside, (f.shape[2], f.shape[3]))], 1))
            for head, f in zip(self.heads, features, strict=True)
        ]
        if self.pixels is not None:
            folded = F.pixel_unshuffle(torch.cat([judged.image, beside], 1), _FOLD)
            scores.append(self.pixels(folded))
        return scores

    @property
    def weights(self) -> list[float]:
        """Weight of each head in the generator's loss."""
        return [1.0] * len(self.heads) + ([self.config.pixels] if self.pixels is not None else [])
