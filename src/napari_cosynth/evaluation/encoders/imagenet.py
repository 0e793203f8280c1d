"""ImageNet features: distances by a published network, so that labs can compare.

They are the 1,280 pooled features of EfficientNet-Lite0's head. Images enter whole, at their own size,
because the network takes any, as the tile encoder does. It is not Inception, so no distance on the
features is an FID.

Why the head, and not the mean of block 14 (192 channels)? Distances are usually taken at the head. It
lies farthest from blocks 0 to 10, which the discriminator of training uses. And it sees as much. Four
CoNSeP tiles were compared with four others (patches of 250 x 250). Blur of 0.7 px, noise of 10 grey
levels and half random phases move the kernel distance by 0.8, 1.3 and 6.9 of its deviations over tiles
(block 14: 0.5, 1.2 and 4.6). Shuffled nuclei and wavering outlines move it by 3.5 and 6.1 (3.9 and 7.5).

Block 14 is less biased for few images: the Fréchet distance of 16 patches from 16 others of the same
tiles is 85 % (block 14: 70 %) of that from other tiles. Neither is useful by itself, so the report also
divides it by the distance between halves of the real tiles, at equal numbers. Quarters of images, four
times as many, were tried too. Their Fréchet distance tells damages from other tiles less well (shuffled
nuclei: 0.6 of its deviations, against 1.7), and kernel distances are unbiased only if images are drawn
independently.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from napari_cosynth.model.efficientnet import EfficientNetLite0, weights_file
from napari_cosynth.model.weights import sha256_of

FEATURES = 1280


def identity() -> str:
    """sha256 of the weights; reports compare only if theirs are equal.

    Raises ValueError if the package that holds the weights is not installed.
    """
    return sha256_of(weights_file())


@torch.no_grad()
def imagenet_features(
    network: EfficientNetLite0, images: npt.NDArray[np.uint8], batch: int = 16
) -> npt.NDArray[np.float64]:
    """Features float64 (N, 1280), each in [0, 6], of images uint8 (N, H, W, 3)."""
    device = network.conv_stem.weight.device
    found = [np.zeros((0, FEATURES))]
    for first in range(0, len(images), batch):
        x = torch.from_numpy(np.array(images[first : first + batch])).to(device)
        features = network(x.permute(0, 3, 1, 2).float() / 127.5 - 1)
        found.append(features.double().cpu().numpy())
    return np.concatenate(found)
