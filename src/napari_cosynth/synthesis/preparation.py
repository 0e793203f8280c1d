"""Preparation of every sample: its checkpoint, its denoiser, and the layout on the checkpoint's grid."""

from __future__ import annotations

from functools import lru_cache

import torch

from napari_cosynth.diffusion.guidance import guided
from napari_cosynth.diffusion.tensors import Denoiser
from napari_cosynth.model.checkpoint import CONFIG, WEIGHTS, Checkpoint, load, locate
from napari_cosynth.model.precision import InBfloat16, faster_in_bf16
from napari_cosynth.types import Layout


def open_checkpoint(name: str, device: torch.device) -> Checkpoint:
    """A checkpoint on a device; the last two are kept in memory until their files change."""
    folder = locate(name)
    files = [path.stat() for file in (CONFIG, WEIGHTS) if (path := folder / file).is_file()]
    return _opened(name, device, (folder, *((f.st_mtime_ns, f.st_size, f.st_ino) for f in files)))


@lru_cache(maxsize=2)
def _opened(name: str, device: torch.device, files: tuple[object, ...]) -> Checkpoint:
    checkpoint = load(name)
    checkpoint.model.to(device)
    return checkpoint


def denoiser_of(checkpoint: Checkpoint, guidance: float, device: torch.device) -> Denoiser:
    """The checkpoint's network, guided by w of Eq. 6; in bfloat16 where that is faster on ``device``."""
    denoiser = guided(checkpoint.model.network, guidance)
    return InBfloat16(denoiser, device) if faster_in_bf16(device) else denoiser


def fit_layout(layout: Layout, checkpoint: Checkpoint) -> Layout:
    """The layout in the checkpoint's classes (by name) and on its grid (by µm/px).

    Raises ValueError where the checkpoint does not know a class that has points.
    """
    return layout.in_classes(checkpoint.classes).scaled_to(checkpoint.config.mpp)
