"""HoVer-Net's training targets from records.

Targets are made from a patch after it was cropped, turned and mirrored: the horizontal map of a mirrored
image has the other sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_cosynth.types import Record


@dataclass(frozen=True)
class Targets:
    """The targets of a batch of patches."""

    offsets: Tensor
    """float32 (B, 2, H, W): horizontal and vertical, in [-1, 1], 0 outside nuclei."""
    types: Tensor
    """int64 (B, H, W), 0..K-1; above 0 exactly inside nuclei."""

    @property
    def nuclei(self) -> Tensor:
        """True in nuclei, bool (B, H, W)."""
        return self.types > 0

    def to(self, device: torch.device) -> Targets:
        """These targets on a device."""
        return Targets(self.offsets.to(device), self.types.to(device))


def offset_maps(instances: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    """Offset of each pixel from its nucleus' centroid, float32 (2, H, W), horizontal and then vertical.

    Offsets to the right and down are positive. Each side of a nucleus is scaled by its farthest pixel, so
    that values reach from -1 to 1 across it (Graham et al. 2019, section 2.1.1). It is 0 outside nuclei.
    """
    maps = np.zeros((2, *instances.shape), np.float32)
    where = np.nonzero(instances)
    if not where[0].size:
        return maps
    _, ids = np.unique(instances[where], return_inverse=True)
    area = np.bincount(ids)
    for channel, along in enumerate((where[1], where[0])):
        offset = along - (np.bincount(ids, along) / area)[ids]
        for side in (1.0, -1.0):
            farthest = np.zeros(len(area))
            np.maximum.at(farthest, ids, side * offset)
            on = side * offset > 0
            offset[on] /= farthest[ids[on]]
        maps[channel][where] = offset
    return maps


def targets(records: Sequence[Record]) -> Targets:
    """The targets of patches of one shape."""
    return Targets(
        torch.from_numpy(np.stack([offset_maps(r.instances) for r in records])),
        torch.from_numpy(np.stack([r.labels for r in records]).astype(np.int64)),
    )


def scaled(images: Sequence[npt.NDArray[np.uint8]]) -> Tensor:
    """The network's input for images of one shape, float32 (B, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.stack(images)).movedim(-1, 1).float() / 127.5 - 1
