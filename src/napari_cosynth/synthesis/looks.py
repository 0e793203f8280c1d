"""The look of a sample: that of a reference image, that of a training tile, or none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from napari_cosynth.geometry.box import Box
from napari_cosynth.io.errors import one_of
from napari_cosynth.model.checkpoint import Checkpoint
from napari_cosynth.model.looks import (
    SIZES,
    LookScale,
    TileLook,
    draw_look,
    look_of,
    usual_share,
)
from napari_cosynth.records.resample import resized
from napari_cosynth.slides.slide import open_image
from napari_cosynth.types import Layout, Request
from napari_cosynth.types.recipe import BANK, NO_LOOK, look_file

Asked: TypeAlias = tuple[str | tuple[float, ...], str]
"""``Request.look`` and ``Request.look_of``."""
LARGEST_REFERENCE = 4096
"""Largest side of a reference in pixels; of a larger image a region has to be named."""


@dataclass(frozen=True)
class Look:
    """The look of a sample."""

    seen: torch.Tensor | None
    """The network's input, float32 (1, N); None for no look."""
    facts: dict[str, Any]
    """The entries of the sample's recipe: ``look``, the numbers or null; ``look_of``, their source;
    ``look_share``, the followed share of a look that is beyond all training tiles. Empty for a network
    without looks."""


def look_for(request: Request, checkpoint: Checkpoint, layout: Layout, seed: int) -> Look:
    """The look of one seed of a request; ``layout`` is in the checkpoint's classes.

    Raises ValueError where a look is asked of a checkpoint that follows none, or the look of a tissue
    that is missing from the checkpoint's bank.
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
    numbers = _of_size(numbers, scale)
    share = usual_share(numbers, scale, checkpoint.bank)
    asked_for = scale.standardised(torch.tensor([numbers], dtype=torch.float32), share)
    facts = {"look": list(numbers), "look_of": source}
    return Look(asked_for, {**facts, "look_share": round(share, 3)} if share < 1 else facts)


def _of_size(numbers: tuple[float, ...], scale: LookScale) -> tuple[float, ...]:
    """The look in the checkpoint's size; numbers that an older look lacks are the scale's means.

    Raises ValueError where looks never had this many numbers.
    """
    size = len(scale.mean)
    if len(numbers) not in SIZES:
        raise ValueError(f"look: expected {size} numbers, got {len(numbers)}")
    return (*numbers[:size], *scale.mean[len(numbers) :])


def _from_bank(
    request: Request, checkpoint: Checkpoint, layout: Layout, seed: int
) -> TileLook | None:
    asked, bank = str(request.look), checkpoint.bank
    tissue = asked.removeprefix(BANK) if asked.startswith(BANK) else request.tissue
    known = sorted({tile.tissue for tile in bank})
    if asked.startswith(BANK) and tissue not in known:
        raise ValueError(f"look: {asked}: the bank of {checkpoint.name}: {one_of(tissue, known)}")
    names = layout.classes.names
    counts = Counter(names[i] for i in layout.class_ids.tolist())
    shares = {name: count / len(layout) for name, count in counts.items()}
    return draw_look(bank, tissue, shares, layout.density, seed)


def look_of_pixels(
    pixels: npt.NDArray[np.uint8], mpp: float | None, own_mpp: float
) -> tuple[float, ...]:
    """The look of a reference, uint8 (H, W, 3) at ``mpp`` µm/px, resampled to a grid of ``own_mpp``.

    With ``mpp`` None the reference is taken to be on that grid. Raises ValueError where it is no RGB
    image, or smaller than 16 pixels a side on that grid.
    """
    factor = (mpp or own_mpp) / own_mpp
    shape = (round(pixels.shape[0] * factor), round(pixels.shape[1] * factor))
    if min(shape) < 16:
        raise ValueError(
            f"expected at least 16 x 16 pixels at {own_mpp:g} µm/px, got {shape[0]} x {shape[1]}"
        )
    return look_of(resized(pixels, shape))


def look_from(spec: str, own_mpp: float, mpp: float | None = None) -> Asked:
    """``Request.look`` and ``look_of`` for ``IMAGE[:y,x,h,w]``, ``bank:TISSUE``, ``seed`` or ``none``.

    IMAGE is a slide or another RGB image, and the rectangle is in its pixels. ``mpp`` overrides the
    file's own µm/px; ``own_mpp`` is the checkpoint's. Raises ValueError naming the file.
    """
    if (place := look_file(spec)) is None:
        return spec, ""
    path, numbers = place
    y, x, *shape = numbers or (0, 0, 0, 0)
    box = Box(y, x, y + shape[0], x + shape[1]) if numbers else None
    slide = open_image(path)
    pixels = slide.levels[0]
    height, width = pixels.shape[:2]
    if box is None:
        box = Box(0, 0, height, width)
        if max(height, width) > LARGEST_REFERENCE:
            raise ValueError(
                f"look: {path}: {height} x {width} pixels are too many for a look: name a region, "
                f"{path}:y,x,h,w"
            )
    elif box.clipped((height, width)) != box or min(box.shape) < 1:
        raise ValueError(f"look: {spec}: expected y,x,h,w inside {height} x {width} pixels")
    try:
        look = look_of_pixels(np.asarray(pixels[box.slices]), mpp or slide.mpp, own_mpp)
    except ValueError as error:
        raise ValueError(f"look: {spec}: {error}") from None
    if box == Box(0, 0, height, width):
        return look, path.name
    return look, f"{path.name}, {box.y0},{box.x0},{box.shape[0]},{box.shape[1]}"
