"""Segmentation of an image by a trained segmenter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from napari_cosynth.segmenter.network import HoverNet
from napari_cosynth.segmenter.postprocess import typed_instances
from napari_cosynth.segmenter.targets import scaled


def segment(
    network: HoverNet, image: npt.NDArray[np.uint8], mpp: float
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Instances 1..N, int32 (H, W), and their classes uint8 (N,), of an image uint8 (H, W, 3).

    The network is in evaluation mode, and ``mpp`` is the µm/px of its training. The whole image is
    segmented in one pass.
    """
    height, width = image.shape[:2]
    device = next(network.parameters()).device
    below, right = (-n % network.config.multiple for n in (height, width))
    with torch.inference_mode():
        padded = F.pad(scaled([image]).to(device), (0, right, 0, below), mode="replicate")
        maps = network(padded)
        found = [
            v[0, :, :height, :width].float().cpu().numpy()
            for v in (maps.nuclei.softmax(1), maps.offsets, maps.types.softmax(1))
        ]
    probabilities, offsets, types = found
    return typed_instances(probabilities[1], offsets, types, mpp)
