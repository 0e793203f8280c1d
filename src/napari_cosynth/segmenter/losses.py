"""HoVer-Net's loss (Graham et al. 2019, section 2.1.2).

L = MSE(HV) + 2 MSGE(HV) + CE(NP) + Dice(NP) + CE(TP) + Dice(TP)
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_cosynth.segmenter.network import Maps
from napari_cosynth.segmenter.targets import Targets

GRADIENT_WEIGHT = 2.0
"""lambda_b, the weight of MSGE; all other weights are 1."""
SMOOTH = 1e-3
"""The paper's epsilon of the Dice loss."""
PUBLISHED_MPP = 0.25
"""µm/px of the images for which the weights were chosen (40x)."""
SIDE = 5
"""Side of the gradient's kernel in pixels, as in the published code."""


@dataclass(frozen=True)
class SegmentationLosses:
    """The six terms, scalars."""

    offsets: Tensor
    gradients: Tensor
    nuclei_entropy: Tensor
    nuclei_dice: Tensor
    types_entropy: Tensor
    types_dice: Tensor

    @property
    def total(self) -> Tensor:
        """The weighted sum of the terms, a scalar."""
        terms = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        terms["gradients"] = GRADIENT_WEIGHT * terms["gradients"]
        return torch.stack(list(terms.values())).sum()


def gradient_kernel(side: int = SIDE) -> Tensor:
    """The horizontal derivative's kernel, float32 (side, side): x / (x² + y²) about the centre.

    It is Sobel's kernel at larger sizes; the vertical one is its transpose. Its correlation with a map is
    positive where the map rises from left to right.
    """
    axis = torch.arange(side, dtype=torch.float32) - side // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x / (x * x + y * y).clamp_min(1e-15)


def gradients(offsets: Tensor) -> Tensor:
    """Gradients, (B, 2, H, W) like ``offsets``: of the horizontal map along x, the vertical along y."""
    horizontal = gradient_kernel().to(offsets)
    kernels = torch.stack([horizontal, horizontal.T])[:, None]
    return F.conv2d(offsets, kernels, padding=SIDE // 2, groups=2)


def gradient_error(
    offsets: Tensor, truth: Tensor, nuclei: Tensor, mpp: float = PUBLISHED_MPP
) -> Tensor:
    """Mean squared error of both gradients over the pixels of nuclei; 0 where there are none.

    Slopes are per 0.25 µm at any ``mpp``. On a grid twice as coarse the slope per pixel is twice as
    steep, and its square would outweigh the other terms.
    """
    squared = (gradients(offsets) - gradients(truth)).square() * nuclei[:, None]
    return (PUBLISHED_MPP / mpp) ** 2 * squared.sum() / nuclei.sum().clamp_min(1)


def dice_error(probabilities: Tensor, truth: Tensor) -> Tensor:
    """1 - Dice of each channel (B, C, H, W) over the batch, summed over the channels."""
    both, one, other = (v.sum((0, 2, 3)) for v in (probabilities * truth, probabilities, truth))
    return (1 - (2 * both + SMOOTH) / (one + other + SMOOTH)).sum()


def segmentation_losses(
    maps: Maps, targets: Targets, mpp: float = PUBLISHED_MPP
) -> SegmentationLosses:
    """The losses of a batch, in float32 whatever the maps' precision.

    The HV error is over all pixels, the error of its gradient over the pixels of nuclei.
    """
    nuclei = targets.nuclei
    parts = []
    for logits, truth in ((maps.nuclei, nuclei.long()), (maps.types, targets.types)):
        logits = logits.float()
        channels = F.one_hot(truth, logits.shape[1]).movedim(-1, 1).float()
        parts += [F.cross_entropy(logits, truth), dice_error(logits.softmax(1), channels)]
    offsets = maps.offsets.float()
    return SegmentationLosses(
        F.mse_loss(offsets, targets.offsets),
        gradient_error(offsets, targets.offsets, nuclei, mpp),
        *parts,
    )
