"""A rectangle of whole pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """Pixels ``y0 <= y < y1``, ``x0 <= x < x1``."""

    y0: int
    x0: int
    y1: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array (H, W, ...) with."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def grown(self, pixels: int) -> Box:
        """The box enlarged by ``pixels`` on every side."""
        return Box(self.y0 - pixels, self.x0 - pixels, self.y1 + pixels, self.x1 + pixels)

    def moved(self, y: int, x: int) -> Box:
        """The box moved ``y`` pixels down and ``x`` to the right."""
        return Box(self.y0 + y, self.x0 + x, self.y1 + y, self.x1 + x)

    def clipped(self, shape: tuple[int, int]) -> Box:
        """Its part on a canvas of ``shape`` (H, W)."""
        return Box(max(0, self.y0), max(0, self.x0), min(shape[0], self.y1), min(shape[1], self.x1))

    def overlaps(self, other: Box) -> bool:
        """Whether they have a pixel in common."""
        y0, x0 = max(self.y0, other.y0), max(self.x0, other.x0)
        return y0 < min(self.y1, other.y1) and x0 < min(self.x1, other.x1)

    def at_least(self, side: int) -> Box:
        """The box grown about its centre until both sides are at least ``side`` pixels."""
        y, x = (max(0, side - n) for n in self.shape)
        return Box(self.y0 - y // 2, self.x0 - x // 2, self.y1 + y - y // 2, self.x1 + x - x // 2)

    def aligned(self, multiple: int) -> Box:
        """The smallest box around it whose edges lie on multiples of ``multiple`` pixels."""
        return Box(
            self.y0 // multiple * multiple,
            self.x0 // multiple * multiple,
            -(-self.y1 // multiple) * multiple,
            -(-self.x1 // multiple) * multiple,
        )

    def moved_into(self, shape: tuple[int, int]) -> Box:
        """The box moved onto a canvas of ``shape`` (H, W), and clipped if it is larger."""
        y = min(max(0, self.y0), max(0, shape[0] - self.shape[0]))
        x = min(max(0, self.x0), max(0, shape[1] - self.shape[1]))
        return Box(y, x, min(shape[0], y + self.shape[0]), min(shape[1], x + self.shape[1]))
