"""Overlapping windows over a canvas, moved from step to step, and their shares of each pixel.

Windows cover a canvas that is larger than a network should see at once. Each window's weight falls
towards its rim. The weights at a pixel, divided by their sum, are the windows' shares of it: the
predictions of all windows for a pixel are averaged by these shares (Bar-Tal et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

STRIDES = (0.7548776662466927, 0.5698402909980532)
"""Roberts' R2 sequence: successive shifts in (y, x) fill the square of a stride evenly."""


@dataclass(frozen=True)
class Axis:
    """The windows along one side of a canvas."""

    length: int
    """Length of the canvas along this axis, in pixels."""
    starts: tuple[int, ...]
    """First pixels of the windows, rising; the first is 0 and the last window ends with the canvas."""
    shares: npt.NDArray[np.float32]
    """float32 (windows, side); the shares of one canvas pixel sum to 1."""

    @property
    def side(self) -> int:
        """Pixels of a window."""
        return self.shares.shape[1]

    def finished(self, window: int) -> int:
        """The pixel up to which no window after ``window`` contributes."""
        return self.starts[window + 1] if window + 1 < len(self.starts) else self.length


@dataclass(frozen=True)
class Windows:
    """Size, overlap and grid of the windows that cover a canvas."""

    side: int = 256
    """Side of a window in pixels; a shorter canvas has one window of its own length."""
    overlap: int = 64
    """Pixels that neighbouring windows share, and over which a weight falls from 1 to 0 at the rim.
    A nucleus' radius is at most 20 pixels, so a window that does not contain a nucleus' point has little
    weight at its pixels."""
    grid: int = 16
    """Starts are multiples of it, so that all windows fold pixels at the same places."""

    def __post_init__(self) -> None:
        if not 0 < self.overlap <= self.side // 2 or self.side % self.grid:
            raise ValueError(
                f"windows: expected a side that is a multiple of {self.grid} and an overlap of 1 to "
                f"half of it, got {self.side} and {self.overlap}"
            )

    def over(self, shape: tuple[int, int], step: int) -> tuple[Axis, Axis]:
        """The windows' rows and columns at sampling step 0, 1, ...

        The sides of the canvas are multiples of ``grid``, or a ValueError is raised.
        """
        rows, columns = (self._axis(n, step, a) for n, a in zip(shape, STRIDES, strict=True))
        return rows, columns

    def _axis(self, length: int, step: int, irrational: float) -> Axis:
        if length % self.grid:
            raise ValueError(f"canvas: expected multiples of {self.grid} pixels, got {length}")
        side = min(self.side, length)
        stride = max(self.grid, (side - self.overlap) // self.grid * self.grid)
        shift = int(step * irrational % 1 * (stride // self.grid)) * self.grid
        count = -(-(length - side + shift) // stride) + 1
        moved = np.clip(np.arange(count) * stride - shift, 0, length - side)
        starts = tuple(int(start) for start in np.unique(moved))
        middle = np.arange(side) + 0.5
        to_rim = np.minimum(middle, middle[::-1]) / self.overlap
        weight = np.sin(np.pi / 2 * np.minimum(to_rim, 1)) ** 2
        total = np.zeros(length)
        for start in starts:
            total[start : start + side] += weight
        shares = np.stack([weight / total[start : start + side] for start in starts])
        return Axis(length, starts, shares.astype(np.float32))
