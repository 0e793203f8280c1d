"""Multi-type Gibbs point processes with pair potentials, sampled by birth, death and move.

Density with respect to the unit-rate Poisson process, for points u of classes m:

    p(x) ∝ prod_i a_{m_i}(u_i) · exp(sum_{i<j} phi_{m_i m_j}(|u_i - u_j|)),

``a`` the activity per µm² and ``phi`` minus infinity below the hard core. Sampled by
Metropolis-Hastings (Geyer and Møller 1994). The plane is cut into cells a little wider than the
interactions reach, with a new random offset each sweep. Cells of one colour of a 2x2 pattern do not
interact, so one proposal in each of them at once is a product of independent steps: exact, vectorised
and linear in the area.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STEP = 0.05
"""µm between the entries of a tabulated potential."""
_FAR = 1e9
"""Where empty slots lie, in µm."""


@dataclass(frozen=True)
class Interaction:
    """Pair potentials between K classes, which are 0 beyond the last knot; lengths in µm."""

    hard_core: Floats
    """Least distances, symmetric (K, K)."""
    knots: Floats
    """Distances at which the potentials are given, ascending (B,)."""
    potential: Floats
    """phi at the knots, symmetric in the classes (K, K, B); linear between them, constant below."""

    @property
    def reach(self) -> float:
        """The distance from which on nuclei do not interact."""
        return float(self.knots[-1])

    def at(self, first: int, second: int, distance: Floats) -> Floats:
        """phi between two classes (0-based) at some distances."""
        value = np.interp(distance, self.knots, self.potential[first, second])
        value = np.where(distance >= self.reach, 0.0, value)
        return np.where(distance < self.hard_core[first, second], -np.inf, value)


@dataclass
class Window:
    """Where points may lie and how likely: a rectangle from (0, 0), in µm."""

    extent: Floats
    """(height, width)."""
    log_activity: Floats
    """log a per µm², (K, h, w) on squares of ``spacing`` from (0, 0); minus infinity: never there."""
    spacing: float
    part_of: Callable[[Floats], Ints] = field(default=lambda points: np.ones(len(points), np.int64))
    """Points (N, 2) in the rectangle -> the part they lie in, (N,); in part 0 there are no new points.

    Classes of fixed counts keep them in each part.
    """

    def activity(self, y: Floats, x: Floats) -> Floats:
        """log a of every class at some places, (K, N)."""
        rows, columns = (
            np.clip((v / self.spacing).astype(np.int64), 0, n - 1)
            for v, n in zip((y, x), self.log_activity.shape[1:], strict=True)
        )
        return np.asarray(self.log_activity[:, rows, columns])


class GibbsSampler:
    """A chain of patterns in a window; points are ``(y, x)`` in µm, classes 0..K-1.

    ``obstacles`` are points that stay where they are and condition the others.
    """

    def __init__(
        self,
        interaction: Interaction,
        window: Window,
        rng: np.random.Generator,
        obstacles: tuple[Floats, Ints] | None = None,
    ) -> None:
        self.interaction = interaction
        self.window = window
        self.rng = rng
        count = len(interaction.hard_core)
        self.tilt = np.zeros(count)
        """Added to the log activity of each class, (K,): how counts are steered."""
        self.counted = np.zeros(count, bool)
        """Classes whose counts do not change: nuclei move, none is born and none dies."""
        bins = int(np.ceil(interaction.reach / STEP)) + 1
        middle = (np.arange(bins) + 0.5) * STEP
        self._table = np.zeros((count, count, bins))
        for i in range(count):
            for j in range(count):
                value = np.interp(middle, interaction.knots, interaction.potential[i, j])
                self._table[i, j] = np.where(middle >= interaction.reach, 0.0, value)
        self._core2 = interaction.hard_core**2
        self._side = interaction.reach
        empty = np.zeros((0, 2)), np.zeros(0, np.int64)
        points, classes = empty if obstacles is None else obstacles
        self._fill(points, classes, np.zeros(len(points), bool))

    # --- the cells -------------------------------------------------------------------------------

    def _fill(self, points: Floats, classes: Ints, movable: npt.NDArray[np.bool_]) -> None:
        """Sorts points into the cells of a grid with a random offset."""
        side = self._side
        self._origin = -self.rng.uniform(0, side, 2)
        low = np.floor((points.min(0, initial=0.0) - self._origin) / side)
        self._origin += np.minimum(low, 0) * side  # obstacles may lie outside the window
        high = np.maximum(points.max(0, initial=0.0), self.window.extent)
        shape = np.floor((high - self._origin) / side).astype(np.int64) + 1
        self._row = int(shape[1]) + 2
        at = ((points - self._origin) / side).astype(np.int64) + 1
        cell = at[:, 0] * self._row + at[:, 1]
        order = np.argsort(cell, kind="stable")
        cell = cell[order]
        number = int(shape[0] + 2) * self._row
        occupancy = np.bincount(cell, minlength=number)
        slot = np.arange(len(cell)) - (np.cumsum(occupancy) - occupancy)[cell]
        room = max(4, int(occupancy.max(initial=0)) + 2)
        self._y = np.full((number, room), _FAR)
        self._x = np.full((number, room), _FAR)
        self._class = np.zeros((number, room), np.int64)
        self._movable = np.zeros((number, room), bool)
        self._y[cell, slot], self._x[cell, slot] = points[order].T
        self._class[cell, slot] = classes[order]
        self._movable[cell, slot] = movable[order]
        self._around = np.array([dy * self._row + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
        rows, columns = np.meshgrid(
            np.arange(1, shape[0] + 1), np.arange(1, shape[1] + 1), indexing="ij"
        )
        self._colours = [
            (rows * self._row + columns)[a::2, b::2].ravel() for a in (0, 1) for b in (0, 1)
        ]

    def _occupied(self) -> tuple[Floats, Ints, npt.NDArray[np.bool_]]:
        taken = self._y < _FAR
        points = np.stack([self._y[taken], self._x[taken]], 1)
        return points, self._class[taken], self._movable[taken]

    def _corner(self, cells: Ints) -> tuple[Floats, Floats]:
        return (
            self._origin[0] + (cells // self._row - 1) * self._side,
            self._origin[1] + (cells % self._row - 1) * self._side,
        )

    def points(self) -> tuple[Floats, Ints]:
        """The pattern without the obstacles: points (N, 2) and classes (N,), in a fixed order."""
        points, classes, movable = self._occupied()
        points, classes = points[movable], classes[movable]
        order = np.lexsort((points[:, 1], points[:, 0]))
        return points[order], classes[order]

    def put(self, points: Floats, classes: Ints) -> None:
        """Replaces the pattern; the obstacles stay."""
        old, ids, movable = self._occupied()
        self._fill(
            np.concatenate([old[~movable], points]),
            np.concatenate([ids[~movable], classes]),
            np.concatenate([movable[~movable], np.ones(len(points), bool)]),
        )

    # --- energies --------------------------------------------------------------------------------

    def _energy(
        self, cells: Ints, y: Floats, x: Floats, classes: Ints, without: Ints | None = None
    ) -> Floats:
        """Sum of phi with every other point, (B,); ``without`` is the own slot in the own cell."""
        around = cells[:, None] + self._around
        dy = self._y[around] - y[:, None, None]
        dx = self._x[around] - x[:, None, None]
        squared = dy * dy + dx * dx
        if without is not None:
            squared[np.arange(len(cells)), 4, without] = _FAR
        near = np.nonzero(squared < self._side**2)
        own, squared = classes[near[0]], squared[near]
        other = self._class[around[near[0], near[1]], near[2]]
        value = self._table[own, other, (np.sqrt(squared) / STEP).astype(np.int64)]
        value[squared < self._core2[own, other]] = -np.inf
        return np.bincount(near[0], value, len(cells))

    def _log_activity(self, y: Floats, x: Floats) -> Floats:
        return self.window.activity(y, x) + self.tilt[:, None]

    def cells_of(self, points: Floats) -> Ints:
        at = ((points - self._origin) / self._side).astype(np.int64) + 1
        return np.asarray(at[:, 0] * self._row + at[:, 1])

    def log_papangelou(self, points: Floats, classes: Ints) -> Floats:
        """log of the conditional intensity per µm² at places that are no points, (N,)."""
        y, x = points.T
        own = self._log_activity(y, x)[classes, np.arange(len(points))]
        return own + self._energy(self.cells_of(points), y, x, classes)

    # --- proposals -------------------------------------------------------------------------------

    def _choose(self, cells: Ints, eligible: npt.NDArray[np.bool_]) -> tuple[Ints, Ints, Ints]:
        """One eligible slot in each cell that has any: rows of ``cells``, slots, how many it has."""
        count = eligible.sum(1)
        rows = np.flatnonzero(count)
        draws = self.rng.random(len(cells))[rows]
        rank = (draws * count[rows]).astype(np.int64)
        slots = (eligible[rows].cumsum(1) > rank[:, None]).argmax(1)
        return rows, slots, count[rows]

    def _room(self, cells: Ints) -> Ints:
        """A free slot in each cell; makes more where there is none."""
        free = self._y[cells] >= _FAR
        if not free.any(1).all():
            more = self._y.shape[1]
            pad = ((0, 0), (0, more))
            self._y = np.pad(self._y, pad, constant_values=_FAR)
            self._x = np.pad(self._x, pad, constant_values=_FAR)
            self._class = np.pad(self._class, pad)
            self._movable = np.pad(self._movable, pad)
            free = self._y[cells] >= _FAR
        return np.asarray(free.argmax(1))

    def _add(self, cells: Ints, y: Floats, x: Floats, classes: Ints) -> None:
        slots = self._room(cells)
        self._y[cells, slots], self._x[cells, slots] = y, x
        self._class[cells, slots], self._movable[cells, slots] = classes, True

    def _remove(self, cells: Ints, slots: Ints) -> None:
        self._y[cells, slots] = self._x[cells, slots] = _FAR
        self._class[cells, slots], self._movable[cells, slots] = 0, False

    def _accept(self, log_ratio: Floats) -> npt.NDArray[np.bool_]:
        return np.log(self.rng.random(len(log_ratio))) < log_ratio

    def _inside(self, points: Floats) -> Ints:
        inside = (points >= 0).all(1) & (points < self.window.extent).all(1)
        return np.where(inside, self.window.part_of(points), 0)

    def _anywhere(self, cells: Ints) -> tuple[Floats, Floats, Ints]:
        """A uniform place in each cell, and its part."""
        y, x = (c + self.rng.random(len(cells)) * self._side for c in self._corner(cells))
        return y, x, self._inside(np.stack([y, x], 1))

    def _tags(self, log_activity: Floats) -> tuple[Ints, Floats]:
        """A class drawn by activity at each place, (N,), and the log of their sum, (N,)."""
        weight = np.exp(log_activity)
        weight[self.counted] = 0
        total = weight.sum(0)
        draws = self.rng.random(len(total)) * total
        tags = (weight.cumsum(0) > draws).argmax(0)
        with np.errstate(divide="ignore"):
            return tags, np.log(total)

    def _birth_or_death(self, cells: Ints) -> None:
        free = self._movable[cells] & ~self.counted[self._class[cells]]
        born = self.rng.random(len(cells)) < 0.5
        area = 2 * np.log(self._side)
        some, slots, count = self._choose(cells[~born], free[~born])
        dying = cells[~born][some]
        cells, present = cells[born], free[born].sum(1)
        y, x, part = self._anywhere(cells)
        tags, total = self._tags(self._log_activity(y, x))
        ok = (part > 0) & np.isfinite(total)
        cells, y, x, tags, total, present = (v[ok] for v in (cells, y, x, tags, total, present))
        ratio = total + area - np.log(present + 1) + self._energy(cells, y, x, tags)
        took = self._accept(ratio)
        # Death is judged before birth is carried out; they concern different cells.
        y0, x0, old = (v[dying, slots] for v in (self._y, self._x, self._class))
        _, total = self._tags(self._log_activity(y0, x0))
        gone = self._accept(np.log(count) - total - area - self._energy(dying, y0, x0, old, slots))
        self._remove(dying[gone], slots[gone])
        self._add(cells[took], y[took], x[took], tags[took])

    def _retag(self, cells: Ints) -> None:
        free = self._movable[cells] & ~self.counted[self._class[cells]]
        rows, slots, _ = self._choose(cells, free)
        cells = cells[rows]
        y, x, old = (v[cells, slots] for v in (self._y, self._x, self._class))
        new, _ = self._tags(self._log_activity(y, x))
        change = np.flatnonzero(new != old)
        cells, slots, y, x, old, new = (v[change] for v in (cells, slots, y, x, old, new))
        ratio = self._energy(cells, y, x, new, slots) - self._energy(cells, y, x, old, slots)
        took = self._accept(ratio)
        self._class[cells[took], slots[took]] = new[took]

    def _move(self, cells: Ints) -> None:
        rows, slots, _ = self._choose(cells, self._movable[cells])
        cells = cells[rows]
        y, x, tags = (v[cells, slots] for v in (self._y, self._x, self._class))
        scale = self._side * np.where(self.rng.random(len(cells)) < 0.5, 0.05, 0.25)
        v, u = (old + scale * self.rng.standard_normal(len(cells)) for old in (y, x))
        bottom, left = self._corner(cells)
        stays = (v >= bottom) & (v < bottom + self._side) & (u >= left) & (u < left + self._side)
        before, after = (self._inside(np.stack(p, 1)) for p in ((y, x), (v, u)))
        stays &= (after > 0) & (~self.counted[tags] | (before == after))
        cells, slots, y, x, v, u, tags = (a[stays] for a in (cells, slots, y, x, v, u, tags))
        row = np.arange(len(cells))
        ratio = self._log_activity(v, u)[tags, row] - self._log_activity(y, x)[tags, row]
        ratio += self._energy(cells, v, u, tags, slots) - self._energy(cells, y, x, tags, slots)
        took = self._accept(ratio)
        self._y[cells[took], slots[took]], self._x[cells[took], slots[took]] = v[took], u[took]

    def _transfer(self, cells: Ints) -> None:
        """Moves nuclei of counted classes between pairs of cells that do not interact."""
        order = self.rng.permutation(cells)
        half = len(order) // 2
        source, target = order[:half], order[half : 2 * half]
        counted = self._movable & self.counted[self._class]
        rows, slots, here = self._choose(source, counted[source])
        source, target = source[rows], target[rows]
        y, x, tags = (v[source, slots] for v in (self._y, self._x, self._class))
        v, u, after = self._anywhere(target)
        same = (after > 0) & (after == self._inside(np.stack([y, x], 1)))
        source, target, slots, here, y, x, v, u, tags = (
            a[same] for a in (source, target, slots, here, y, x, v, u, tags)
        )
        row = np.arange(len(source))
        ratio = self._log_activity(v, u)[tags, row] - self._log_activity(y, x)[tags, row]
        ratio += self._energy(target, v, u, tags) - self._energy(source, y, x, tags, slots)
        ratio += np.log(here) - np.log(counted[target].sum(1) + 1)
        took = self._accept(ratio)
        self._remove(source[took], slots[took])
        self._add(target[took], v[took], u[took], tags[took])

    def sweep(self, rounds: int = 8) -> None:
        """``rounds`` proposals of each kind in every cell, on a grid with a new offset."""
        self._fill(*self._occupied())
        steps = [self._move]
        if not self.counted.all():
            steps += [self._birth_or_death, self._birth_or_death, self._retag]
        if self.counted.any():
            steps += [self._transfer, self._transfer]
        for _ in range(rounds):
            for colour in self.rng.permutation(len(self._colours)):
                for step in steps:
                    step(self._colours[colour])
