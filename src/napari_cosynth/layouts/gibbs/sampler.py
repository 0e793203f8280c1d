"""Multi-type Gibbs point processes with pair potentials, sampled by birth, death and move.

Density with respect to the unit-rate Poisson process, for points u of classes m:

    p(x) ∝ prod_i a_{m_i}(u_i) · exp(sum_{i<j} phi_{m_i m_j}(|u_i - u_j|)),

where ``a`` is the activity per µm², and ``phi`` is minus infinity below the hard core. The sampler is
Metropolis-Hastings (Geyer and Møller 1994). The plane is cut into cells as wide as the interactions
reach, with a new random offset each sweep. Cells of one colour of a 2x2 pattern do not interact. So
one proposal in each of them at once is a product of independent steps: exact, vectorised and linear in
the area.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from napari_cosynth.layouts.gibbs.cell_list import Bools, Cells, Chosen, Floats, Ints

STEP = 0.05
"""µm between the entries of a tabulated potential."""


@dataclass(frozen=True)
class Interaction:
    """Pair potentials phi between K classes; they are 0 beyond the last knot. Lengths are in µm."""

    hard_core: Floats
    """Least distances, symmetric (K, K)."""
    knots: Floats
    """Distances at which the potentials are given, ascending (B,)."""
    potential: Floats
    """phi at the knots, symmetric in the classes (K, K, B); linear between them, constant below."""

    @property
    def reach(self) -> float:
        """Distance from which on nuclei do not interact, in µm."""
        return float(self.knots[-1])

    def at(self, first: int, second: int, distance: Floats) -> Floats:
        """phi between two classes (0-based) at these distances in µm."""
        value = np.interp(distance, self.knots, self.potential[first, second])
        value = np.where(distance >= self.reach, 0.0, value)
        return np.where(distance < self.hard_core[first, second], -np.inf, value)


@dataclass
class Window:
    """A rectangle from (0, 0) in µm, and the activity of points in it."""

    extent: Floats
    """(height, width)."""
    log_activity: Floats
    """log a per µm², (K, h, w), on squares of ``spacing`` µm from (0, 0); minus infinity: no points."""
    spacing: float
    part_of: Callable[[Floats], Ints] = field(default=lambda points: np.ones(len(points), np.int64))
    """Returns the part of the rectangle, (N,), that each of the points (N, 2) lies in.

    Part 0 gets no new points. Classes with fixed counts keep their counts in each part.
    """

    def activity(self, y: Floats, x: Floats) -> Floats:
        """log a of every class at these places, (K, N)."""
        rows, columns = (
            np.clip((v / self.spacing).astype(np.int64), 0, n - 1)
            for v, n in zip((y, x), self.log_activity.shape[1:], strict=True)
        )
        return np.asarray(self.log_activity[:, rows, columns])


class GibbsSampler:
    """A chain of patterns in a window; points are ``(y, x)`` in µm, classes 0..K-1.

    ``obstacles`` are points that stay fixed and condition the others.
    """

    def __init__(
        self,
        interaction: Interaction,
        window: Window,
        rng: np.random.Generator,
        obstacles: tuple[Floats, Ints] | None = None,
    ) -> None:
        self.window = window
        self.rng = rng
        count = len(interaction.hard_core)
        self.tilt = np.zeros(count)
        """Added to the log activity of each class, (K,), to steer counts."""
        self.counted = np.zeros(count, np.bool_)
        """True for classes whose counts are fixed, (K,): their nuclei move, and none is born or dies."""
        middle = (np.arange(np.ceil(interaction.reach / STEP) + 1) + 0.5) * STEP
        self._table = np.zeros((count, count, len(middle)))
        for i in range(count):
            for j in range(count):
                value = np.interp(middle, interaction.knots, interaction.potential[i, j])
                self._table[i, j] = np.where(middle >= interaction.reach, 0.0, value)
        self._core2 = interaction.hard_core**2
        self._side = interaction.reach
        points, tags = obstacles or (np.zeros((0, 2)), np.zeros(0, np.int64))
        self._sort(points, tags, np.zeros(len(points), np.bool_))

    def _sort(self, points: Floats, tags: Ints, movable: Bools) -> None:
        offset = self.rng.uniform(0, self._side, 2)
        self._cells = Cells(points, tags, movable, self.window.extent, self._side, offset)

    def points(self) -> tuple[Floats, Ints]:
        """The pattern without the obstacles: points (N, 2) and classes (N,), in a fixed order."""
        points, tags, movable = self._cells.occupied()
        points, tags = points[movable], tags[movable]
        order = np.lexsort((points[:, 1], points[:, 0]))
        return points[order], tags[order]

    def put(self, points: Floats, tags: Ints) -> None:
        """Replaces the pattern; the obstacles stay."""
        old, ids, movable = self._cells.occupied()
        self._sort(
            np.concatenate([old[~movable], points]),
            np.concatenate([ids[~movable], tags]),
            np.repeat([False, True], [int((~movable).sum()), len(points)]),
        )

    def add(self, point: Floats, tag: int) -> bool:
        """Adds a nucleus unless a hard core forbids it; returns whether it was added."""
        places, tags = point[None], np.array([tag])
        if self.log_papangelou(places, tags)[0] == -np.inf:
            return False
        self._cells.add(self._cells.of(places), places[:, 0], places[:, 1], tags)
        return True

    def log_papangelou(self, points: Floats, tags: Ints) -> Floats:
        """log of the conditional intensity per µm² at places without a point, (N,)."""
        y, x = points[:, 0], points[:, 1]
        energy = self._energy(self._cells.of(points), y, x, tags)
        return self._log_activity(y, x)[tags, np.arange(len(points))] + energy

    def _energy(
        self, cells: Ints, y: Floats, x: Floats, tags: Ints, without: Ints | None = None
    ) -> Floats:
        """Sum of phi with every other point, (N,); ``without`` is the slot of the place's own point."""
        row, squared, other = self._cells.neighbours(cells, y, x, without)
        own = tags[row]
        value = self._table[own, other, (np.sqrt(squared) / STEP).astype(np.int64)]
        value[squared < self._core2[own, other]] = -np.inf
        return np.asarray(np.bincount(row, value, len(cells)), np.float64)

    def _energy_of(self, point: Chosen, tags: Ints | None = None) -> Floats:
        """Sum of phi of existing points with all others, (N,), in their class or in ``tags``."""
        tags = point.tags if tags is None else tags
        return self._energy(point.cells, point.y, point.x, tags, point.slots)

    def _log_activity(self, y: Floats, x: Floats) -> Floats:
        return self.window.activity(y, x) + self.tilt[:, None]

    def _accept(self, log_ratio: Floats) -> Bools:
        return np.asarray(np.log(self.rng.random(len(log_ratio))) < log_ratio)

    def _part(self, y: Floats, x: Floats) -> Ints:
        """The window's part that each place lies in, (N,); 0 outside the window."""
        points = np.stack([y, x], 1)
        inside = ((points >= 0) & (points < self.window.extent)).all(1)
        return np.where(inside, self.window.part_of(points), 0)

    def _anywhere(self, cells: Ints) -> tuple[Floats, Floats]:
        """A uniform place in each cell."""
        bottom, left = self._cells.corner(cells)
        y, x = self.rng.random((2, len(cells))) * self._side
        return bottom + y, left + x

    def _tags(self, y: Floats, x: Floats) -> tuple[Ints, Floats]:
        """A class drawn by activity at each place, (N,), and the log of the activities' sum, (N,).

        Classes with fixed counts are left out.
        """
        weight = np.exp(self._log_activity(y, x))
        weight[self.counted] = 0
        total = weight.sum(0)
        draws = self.rng.random(len(total)) * total
        with np.errstate(divide="ignore"):
            return (weight.cumsum(0) > draws).argmax(0), np.log(total)

    def _free(self, cells: Ints) -> Bools:
        """True for slots of points that may die or change their class."""
        return self._cells.movable[cells] & ~self.counted[self._cells.tags[cells]]

    def _birth_or_death(self, cells: Ints) -> None:
        """A birth in about half of the cells, at a uniform place, and a death in the others."""
        born = self.rng.random(len(cells)) < 0.5
        log_area = 2 * np.log(self._side)
        _, dying, count = self._cells.choose(cells[~born], self._free(cells[~born]), self.rng)
        cells = cells[born]
        y, x = self._anywhere(cells)
        tags, total = self._tags(y, x)
        able = np.flatnonzero((self._part(y, x) > 0) & np.isfinite(total))
        cells, y, x, tags, total = cells[able], y[able], x[able], tags[able], total[able]
        present = self._free(cells).sum(1)
        ratio = total + log_area - np.log(present + 1) + self._energy(cells, y, x, tags)
        took = self._accept(ratio)
        # Deaths may be judged before births are carried out, since these cells do not interact.
        _, total = self._tags(dying.y, dying.x)
        gone = self._accept(np.log(count) - total - log_area - self._energy_of(dying))
        self._cells.remove(dying.cells[gone], dying.slots[gone])
        self._cells.add(cells[took], y[took], x[took], tags[took])

    def _retag(self, cells: Ints) -> None:
        """Proposes another class for a point of each cell."""
        _, point, _ = self._cells.choose(cells, self._free(cells), self.rng)
        tags, _ = self._tags(point.y, point.x)
        change = np.flatnonzero(tags != point.tags)
        point, tags = point.where(change), tags[change]
        took = self._accept(self._energy_of(point, tags) - self._energy_of(point))
        self._cells.tags[point.cells[took], point.slots[took]] = tags[took]

    def _gain(self, point: Chosen, cells: Ints, y: Floats, x: Floats) -> Floats:
        """log of the density ratio of moving points to other places in ``cells``, (N,)."""
        row = np.arange(len(point))
        ratio = self._log_activity(y, x)[point.tags, row]
        ratio -= self._log_activity(point.y, point.x)[point.tags, row]
        without = point.slots if cells is point.cells else None
        return ratio + self._energy(cells, y, x, point.tags, without) - self._energy_of(point)

    def _move(self, cells: Ints) -> None:
        """Proposes a step for a point of each cell; a step out of the cell is refused."""
        _, point, _ = self._cells.choose(cells, self._cells.movable[cells], self.rng)
        scale = self._side * np.where(self.rng.random(len(point)) < 0.5, 0.05, 0.25)
        y, x = point.points().T + scale * self.rng.standard_normal((2, len(point)))
        before, after = self._part(point.y, point.x), self._part(y, x)
        stays = self._cells.of(np.stack([y, x], 1)) == point.cells
        stays &= (after > 0) & (~self.counted[point.tags] | (before == after))
        point, y, x = point.where(stays), y[stays], x[stays]
        took = self._accept(self._gain(point, point.cells, y, x))
        at = point.cells[took], point.slots[took]
        self._cells.y[at], self._cells.x[at] = y[took], x[took]

    def _transfer(self, cells: Ints) -> None:
        """Proposes moves of points with fixed counts to other cells, in pairs that do not interact."""
        order = self.rng.permutation(cells)
        half = len(order) // 2
        source, target = order[:half], order[half : 2 * half]
        counted = self._cells.movable & self.counted[self._cells.tags]
        rows, point, here = self._cells.choose(source, counted[source], self.rng)
        target = target[rows]
        y, x = self._anywhere(target)
        after = self._part(y, x)
        same = np.flatnonzero((after > 0) & (after == self._part(point.y, point.x)))
        point, target, here, y, x = point.where(same), target[same], here[same], y[same], x[same]
        ratio = self._gain(point, target, y, x)
        ratio += np.log(here) - np.log(counted[target].sum(1) + 1)
        took = self._accept(ratio)
        self._cells.remove(point.cells[took], point.slots[took])
        self._cells.add(target[took], y[took], x[took], point.tags[took])

    def sweep(self, rounds: int = 8) -> None:
        """Makes ``rounds`` proposals of each kind in every cell, after giving the cells a new offset."""
        self._sort(*self._cells.occupied())
        steps = [self._move]
        if not self.counted.all():
            steps += [self._birth_or_death, self._birth_or_death, self._retag]
        if self.counted.any():
            steps += [self._transfer, self._transfer]
        for _ in range(rounds):
            for colour in self.rng.permutation(len(self._cells.colours)):
                for step in steps:
                    step(self._cells.colours[colour])
