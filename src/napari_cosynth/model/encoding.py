"""Record <-> JointState and Layout -> Condition; all normalisation of values happens here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_cosynth.diffusion.tensors import Condition, JointState
from napari_cosynth.geometry.raster import point_map
from napari_cosynth.model.text import TextEncoder
from napari_cosynth.types import Layout, Record


def encode_records(records: Sequence[Record]) -> JointState:
    """Records of one shape -> a clean state, with image and distance in [-1, 1]."""
    return JointState(
        encode_images(np.stack([r.image for r in records])),
        encode_distances(np.stack([r.distance for r in records])),
        encode_labels(np.stack([r.labels for r in records])),
    )


def encode_images(images: npt.NDArray[np.uint8]) -> Tensor:
    """uint8 (B, H, W, 3) -> float32 (B, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(images.astype(np.float32).transpose(0, 3, 1, 2) / 127.5 - 1)


def encode_distances(distances: npt.NDArray[np.float32]) -> Tensor:
    """float32 (B, H, W) in [0, 1] -> (B, 1, H, W) in [-1, 1]."""
    return torch.from_numpy(2 * distances[:, None] - 1)


def encode_labels(labels: npt.NDArray[np.uint8]) -> Tensor:
    """uint8 (B, H, W) -> int64."""
    return torch.from_numpy(labels.astype(np.int64))


def decode_image(image: Tensor) -> npt.NDArray[np.uint8]:
    """(B, 3, H, W) in [-1, 1] -> uint8 (B, H, W, 3)."""
    levels = ((image.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return levels.movedim(1, -1).cpu().numpy()


def decode_distance(distance: Tensor) -> npt.NDArray[np.float32]:
    """(B, 1, H, W) in [-1, 1] -> float32 (B, H, W) in [0, 1]."""
    return ((distance[:, 0].float().clamp(-1, 1) + 1) / 2).cpu().numpy()


def decode_labels(labels: Tensor) -> npt.NDArray[np.uint8]:
    """int64 (B, H, W) -> uint8."""
    return labels.to(torch.uint8).cpu().numpy()


def encode_points(layouts: Sequence[Layout]) -> Tensor:
    """Layouts of one shape -> point maps, int64 (B, H, W)."""
    return torch.from_numpy(np.stack([point_map(layout) for layout in layouts]).astype(np.int64))


def encode_condition(
    points: Tensor, prompts: Sequence[str], encoder: TextEncoder, looks: Tensor | None = None
) -> Condition:
    """Point maps, prompts and looks -> a condition; differentiable in the encoder's weights.

    ``looks`` float32 (B, N), standardised (``model.looks``).
    """
    text, mask = encoder(prompts)
    looks = None if looks is None else looks.to(text.device)
    return Condition(points.to(text.device), text, mask, looks)
