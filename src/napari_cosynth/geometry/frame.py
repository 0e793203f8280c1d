"""The canvas that is sampled: the one that was asked for, and a margin that is thrown away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.geometry.box import Box

MARGIN = 8
"""Pixels on every side. The network pads its feature maps with zeros, and so paints the outermost two
pixels of what it sees as a speckle: along the rim their grey levels differed from pixel to pixel by 9 to
18, and by 8 further in (4 samples of 256 x 256 of the bundled model)."""
SMALLEST = 64
"""Pixels; the network was never trained on less, so smaller canvases are padded to it."""


@dataclass(frozen=True)
class Frame:
    """Where a canvas of ``shape`` (H, W) lies in the one that the network sees."""

    shape: tuple[int, int]
    multiple: int
    """The network takes sides that are multiples of this."""

    @property
    def padded(self) -> tuple[int, int]:
        """(H, W) of what the network sees."""
        height, width = (
            -(-max(n + 2 * MARGIN, SMALLEST) // self.multiple) * self.multiple for n in self.shape
        )
        return height, width

    @property
    def box(self) -> Box:
        """The canvas, in pixels of the padded one."""
        return Box(0, 0, *self.shape).moved(MARGIN, MARGIN)

    def pad(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """An array (H, W, ...) of the canvas on the padded one, zeros around it."""
        out = np.zeros((*self.padded, *array.shape[2:]), array.dtype)
        out[self.box.slices] = array
        return out

    def cut(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The canvas' part of an array of the padded one, a copy."""
        return array[self.box.slices].copy()
