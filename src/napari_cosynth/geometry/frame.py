"""The canvas that is sampled: the requested canvas and a margin that is cut off afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.geometry.box import Box

MARGIN = 8
"""Pixels added on every side. The network pads its feature maps with zeros and therefore paints speckle
into the outermost two pixels: neighbouring grey levels there differ by 9 to 18, further in by 8 (4
samples of 256 x 256 of the bundled model)."""
SMALLEST = 64
"""Shortest side in pixels. The network was never trained on less; smaller canvases are padded to it."""


@dataclass(frozen=True)
class Frame:
    """Place of a canvas of ``shape`` (H, W) in the padded canvas that the network sees."""

    shape: tuple[int, int]
    multiple: int
    """Sides of the padded canvas are multiples of this, as the network needs."""

    @property
    def padded(self) -> tuple[int, int]:
        """(H, W) of the padded canvas."""
        height, width = (
            -(-max(n + 2 * MARGIN, SMALLEST) // self.multiple) * self.multiple for n in self.shape
        )
        return height, width

    @property
    def box(self) -> Box:
        """The requested canvas in pixels of the padded one."""
        return Box(0, 0, *self.shape).moved(MARGIN, MARGIN)

    def pad(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """An array (H, W, ...) of the canvas, padded with zeros."""
        out = np.zeros((*self.padded, *array.shape[2:]), array.dtype)
        out[self.box.slices] = array
        return out

    def cut(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The canvas' part of a padded array, as a copy."""
        return array[self.box.slices].copy()
