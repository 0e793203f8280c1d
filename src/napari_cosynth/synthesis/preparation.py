"""What every sample needs before its first step: weights, a denoiser, the layout on their grid."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from napari_cosynth.diffusion.guidance import guided
from napari_cosynth.diffusion.tensors import Denoiser
from napari_cosynth.model.checkpoint import CONFIG, WEIGHTS, Checkpoint, load, locate
from napari_cosynth.model.looks import TileLook, draw_look, read_bank
from napari_cosynth.model.precision import InBfloat16, faster_in_bf16
from napari_cosynth.nearest import one_of
from napari_cosynth.types import Layout, Request
from napari_cosynth.types.sampling import BANK, NO_LOOK


def open_checkpoint(name: str, device: torch.device) -> Checkpoint:
    """A checkpoint on a device, kept for the next request until its files are others."""
    folder = locate(name)
    files = [path.stat() for file in (CONFIG, WEIGHTS) if (path := folder / file).is_file()]
    return _opened(name, device, (folder, *((f.st_mtime_ns, f.st_size, f.st_ino) for f in files)))


@lru_cache(maxsize=2)
def _opened(name: str, device: torch.device, files: tuple[object, ...]) -> Checkpoint:
    checkpoint = load(name)
    checkpoint.model.to(device)
    return checkpoint


def denoiser_of(checkpoint: Checkpoint, guidance: float, device: torch.device) -> Denoiser:
    """The checkpoint's network, guided by w of Eq. 6, in bfloat16 where ``device`` is faster in it."""
    denoiser = guided(checkpoint.model.network, guidance)
    return InBfloat16(denoiser, device) if faster_in_bf16(device) else denoiser


@dataclass(frozen=True)
class Look:
    """The look of a sample."""

    seen: torch.Tensor | None
    """As the network takes it, float32 (1, 16); None where none is asked for."""
    facts: dict[str, Any]
    """What the recipe says of it: ``look``, the 16 numbers or null, and ``look_of``, where they come
    from; nothing for a network without looks."""


def look_for(request: Request, checkpoint: Checkpoint, layout: Layout, seed: int) -> Look:
    """The look that a request asks for at a seed; ``layout`` is in the checkpoint's classes.

    Raises ValueError where numbers are asked of a checkpoint that follows none, or of a tissue of
    which its bank has no tile.
    """
    asked, scale = request.look, checkpoint.config.look
    if scale is None:
        if isinstance(asked, tuple) or asked.startswith(BANK):
            raise ValueError(f"look: {checkpoint.name} follows no look: it was trained without")
        return Look(None, {})
    numbers, source = asked, request.look_of
    if isinstance(numbers, str):
        drawn = None if numbers == NO_LOOK else _from_bank(request, checkpoint, layout, seed)
        if drawn is None:
            return Look(None, {"look": None})
        numbers, source = drawn.look, f"training tile {drawn.tile}"
    if len(numbers) != len(scale.mean):
        raise ValueError(f"look: expected {len(scale.mean)} numbers, got {len(numbers)}")
    seen = scale.standardised(torch.tensor([numbers], dtype=torch.float32))
    return Look(seen, {"look": list(numbers), "look_of": source})


def _from_bank(
    request: Request, checkpoint: Checkpoint, layout: Layout, seed: int
) -> TileLook | None:
    asked, bank = str(request.look), read_bank(checkpoint.path)
    tissue = asked.removeprefix(BANK) if asked.startswith(BANK) else request.tissue
    known = sorted({tile.tissue for tile in bank})
    if asked.startswith(BANK) and tissue not in known:
        raise ValueError(f"look: {asked}: the bank of {checkpoint.name}: {one_of(tissue, known)}")
    names = layout.classes.names
    counts = Counter(names[i] for i in layout.class_ids.tolist())
    shares = {name: count / len(layout) for name, count in counts.items()}
    return draw_look(bank, tissue, shares, seed)


def fit_layout(layout: Layout, checkpoint: Checkpoint) -> Layout:
    """The layout in the checkpoint's classes (by name) and on its grid (by µm/px).

    Raises ValueError on a class that has points and that the checkpoint does not know.
    """
    return layout.in_classes(checkpoint.classes).scaled_to(checkpoint.config.mpp)
