"""Noise of a canvas by place: a pixel gets the same noise whatever windows it is sampled in.

A counter-based generator (Philox, Salmon et al. 2011) gives every block of the canvas a stream of its
own at every step and draw. So any box of the canvas can be drawn alone and in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_cosynth.geometry.box import Box

BLOCK = 64
"""Side of a block in pixels."""


class CanvasNoise:
    """The noise of one seed within a box of its canvas, at one step; its draws are numbered in order."""

    def __init__(
        self, seed: int, box: Box, device: torch.device | str = "cpu", step: int = 0
    ) -> None:
        self.seed, self.box, self.step = seed, box, step
        self.device = torch.device(device)
        self._draws = 0

    def at(self, step: int) -> CanvasNoise:
        """The noise of another step, from its first draw on."""
        return CanvasNoise(self.seed, self.box, self.device, step)

    def within(self, box: Box) -> CanvasNoise:
        """The same noise in another box of the canvas."""
        return CanvasNoise(self.seed, box, self.device, self.step)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, float32 (1, *shape); the last two of ``shape`` are the box's (h, w)."""
        return self._drawn(shape, lambda g, s: g.standard_normal(s, dtype=np.float32))

    def uniform(self, *shape: int) -> Tensor:
        """Uniform in [0, 1), float32 (1, *shape)."""
        return self._drawn(shape, lambda g, s: g.random(s, dtype=np.float32))

    def _drawn(
        self,
        shape: tuple[int, ...],
        draw: Callable[[np.random.Generator, tuple[int, ...]], npt.NDArray[Any]],
    ) -> Tensor:
        box, leading = self.box, shape[:-2]
        if shape[-2:] != box.shape:
            raise ValueError(f"noise: expected a draw for {box.shape} pixels, got {shape[-2:]}")
        around = box.aligned(BLOCK)
        out = np.empty((*leading, *around.shape), np.float32)
        number = (self.step << 8) + self._draws
        self._draws += 1
        for y in range(around.y0, around.y1, BLOCK):
            for x in range(around.x0, around.x1, BLOCK):
                # Philox itself counts in the lowest word; the others name draw and block.
                counter = [0, number, y // BLOCK, x // BLOCK]
                bits = np.random.Philox(key=[self.seed, 0], counter=counter)
                block = Box(y, x, y + BLOCK, x + BLOCK).moved(-around.y0, -around.x0)
                out[(..., *block.slices)] = draw(
                    np.random.Generator(bits), (*leading, BLOCK, BLOCK)
                )
        inside = box.moved(-around.y0, -around.x0)
        drawn = np.ascontiguousarray(out[(..., *inside.slices)])
        return torch.from_numpy(drawn)[None].to(self.device)
