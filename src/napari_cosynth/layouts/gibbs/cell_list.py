"""Cell lists: points in square cells, with neighbours, insertion and removal for many cells at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

FAR = 1e9
"""Coordinate of empty slots in µm, far from all points."""


@dataclass(frozen=True)
class Chosen:
    """One point of each of N cells; all arrays are (N,)."""

    cells: Ints
    slots: Ints
    y: Floats
    x: Floats
    tags: Ints
    """Classes."""

    def __len__(self) -> int:
        return len(self.cells)

    def where(self, keep: npt.NDArray[np.bool_] | Ints) -> Chosen:
        return Chosen(
            self.cells[keep], self.slots[keep], self.y[keep], self.x[keep], self.tags[keep]
        )

    def points(self) -> Floats:
        return np.stack([self.y, self.x], 1)


class Cells:
    """Class-tagged points sorted into cells of ``side`` µm, with a rim of empty cells around them.

    Args:
        points: (N, 2) in µm.
        tags: their classes, (N,).
        movable: True for points that may change, (N,).
        extent: (height, width) in µm of a rectangle from (0, 0) that the cells cover at least; points
            may lie outside it.
        offset: (2,) in 0..side; the first cell begins this far before (0, 0).
    """

    def __init__(
        self,
        points: Floats,
        tags: Ints,
        movable: Bools,
        extent: Floats,
        side: float,
        offset: Floats,
    ) -> None:
        self.side = side
        self._origin = -np.asarray(offset, np.float64)
        below = np.floor((points.min(0, initial=0.0) - self._origin) / side)
        self._origin = self._origin + np.minimum(below, 0) * side
        high = np.maximum(points.max(0, initial=0.0), extent)
        shape = np.floor((high - self._origin) / side).astype(np.int64) + 1
        self._row = int(shape[1]) + 2
        cell = self.of(points)
        order = np.argsort(cell, kind="stable")
        cell = cell[order]
        number = int(shape[0] + 2) * self._row
        occupancy = np.bincount(cell, minlength=number)
        slot = np.arange(len(cell)) - (np.cumsum(occupancy) - occupancy)[cell]
        room = max(4, int(occupancy.max(initial=0)) + 2)
        self.y = np.full((number, room), FAR)
        self.x = np.full((number, room), FAR)
        self.tags = np.zeros((number, room), np.int64)
        self.movable = np.zeros((number, room), np.bool_)
        self.y[cell, slot], self.x[cell, slot] = points[order].T
        self.tags[cell, slot] = tags[order]
        self.movable[cell, slot] = movable[order]
        self._around = np.array(
            [dy * self._row + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)], np.int64
        )
        grid = np.arange(number).reshape(-1, self._row)[1:-1, 1:-1]
        self.colours = [grid[a::2, b::2].ravel() for a in (0, 1) for b in (0, 1)]
        """Cells of each colour of a 2x2 pattern; two cells of one colour are at least ``side`` apart."""

    def of(self, points: Floats) -> Ints:
        """Index of each point's cell, (N,)."""
        at = np.floor((points - self._origin) / self.side).astype(np.int64) + 1
        return np.asarray(at[:, 0] * self._row + at[:, 1], np.int64)

    def corner(self, cells: Ints) -> tuple[Floats, Floats]:
        """Least y and x of cells, (N,) each."""
        return (
            self._origin[0] + (cells // self._row - 1) * self.side,
            self._origin[1] + (cells % self._row - 1) * self.side,
        )

    def occupied(self) -> tuple[Floats, Ints, Bools]:
        """All points (N, 2), their classes (N,), and True for those that may change (N,)."""
        taken = self.y < FAR
        points = np.stack([self.y[taken], self.x[taken]], 1)
        return points, self.tags[taken], self.movable[taken]

    def choose(
        self, cells: Ints, eligible: Bools, rng: np.random.Generator
    ) -> tuple[Ints, Chosen, Ints]:
        """A random eligible point of each cell that has any.

        ``eligible`` is (N, slots). Returns the rows of these cells, their points, and the number of
        eligible points in each.
        """
        count = eligible.sum(1)
        rows = np.flatnonzero(count)
        rank = (rng.random(len(cells))[rows] * count[rows]).astype(np.int64)
        slots = (eligible[rows].cumsum(1) > rank[:, None]).argmax(1)
        cells = cells[rows]
        point = Chosen(
            cells, slots, self.y[cells, slots], self.x[cells, slots], self.tags[cells, slots]
        )
        return rows, point, count[rows]

    def neighbours(
        self, cells: Ints, y: Floats, x: Floats, without: Ints | None
    ) -> tuple[Ints, Floats, Ints]:
        """Points within ``side`` of one place in each of some cells.

        ``without`` are slots of these cells to leave out, (N,), or None. Returns each neighbour's row of
        the place, squared distance and class, (P,) each.
        """
        around = cells[:, None] + self._around
        dy = self.y[around] - y[:, None, None]
        dx = self.x[around] - x[:, None, None]
        squared = dy * dy + dx * dx
        if without is not None:
            squared[np.arange(len(cells)), 4, without] = FAR
        row, which, slot = np.nonzero(squared < self.side**2)
        return row, squared[row, which, slot], self.tags[around[row, which], slot]

    def add(self, cells: Ints, y: Floats, x: Floats, tags: Ints) -> None:
        """Adds a movable point to each of these cells; no cell may be named twice."""
        free = self.y[cells] >= FAR
        if not free.any(1).all():
            pad = ((0, 0), (0, self.y.shape[1]))
            self.y = np.pad(self.y, pad, constant_values=FAR)
            self.x = np.pad(self.x, pad, constant_values=FAR)
            self.tags = np.pad(self.tags, pad)
            self.movable = np.pad(self.movable, pad)
            free = self.y[cells] >= FAR
        slots = free.argmax(1)
        self.y[cells, slots], self.x[cells, slots] = y, x
        self.tags[cells, slots], self.movable[cells, slots] = tags, True

    def remove(self, cells: Ints, slots: Ints) -> None:
        self.y[cells, slots] = self.x[cells, slots] = FAR
        self.tags[cells, slots], self.movable[cells, slots] = 0, False
