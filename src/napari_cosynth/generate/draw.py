"""Jobs of a plan: the layout, tissue and seeds of sample ``i``, decided by plan, pool and ``i`` alone."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cosynth.generate.balance import (
    Shares,
    divided,
    expected_shares,
    full_target,
    relabelled,
    relabelling,
    tilted,
)
from napari_cosynth.generate.plan import ModelLayouts, Plan
from napari_cosynth.generate.pool import Pilot, Pool, class_counts, model_path, told
from napari_cosynth.layouts.gibbs.model import layout_model_digest, load_layout_model
from napari_cosynth.types import ClassTable, Layout
from napari_cosynth.types.annotation import on_canvas

logger = logging.getLogger(__name__)

_GOLDEN = (np.sqrt(5) - 1) / 2
NEAR = 0.005
"""Largest difference from a target share that is not logged."""


@dataclass(frozen=True)
class Drawn:
    """A layout that a layout model draws on the worker that makes the sample."""

    model: str
    """The model's file, or the name of a bundled model."""
    sha256: str
    """SHA-256 of the model's file when the run began."""
    shape: tuple[int, int]
    seed: int
    mpp: float
    tissue: str
    counts: tuple[tuple[str, int], ...] | None
    """Number of nuclei by class; None: the model chooses."""
    classes: ClassTable

    def layout(self) -> Layout:
        return _drawn(self)


@lru_cache(maxsize=2)
def _drawn(what: Drawn) -> Layout:
    if (found := layout_model_digest(what.model)) != what.sha256:
        raise ValueError(
            f"{what.model}: its sha256 is {found[:12]}..., that of the model the run began with "
            f"{what.sha256[:12]}..."
        )
    model = load_layout_model(what.model)
    counts, known = None, model.tissue(what.tissue).classes
    if what.counts is not None:
        # The model draws classes that are not named, so zeros stay; it refuses unknown classes.
        counts = {name: n for name, n in what.counts if n or name in known}
    layout = model.sample(what.shape, what.seed, what.mpp, what.tissue, counts)
    return layout.in_classes(what.classes)


@dataclass(frozen=True)
class Job:
    """One sample to make; it is small, and holds all that another process needs of pool and plan."""

    index: int
    layout: Layout | Drawn
    tissue: str
    origin: str
    """Source of the layout, for the manifest."""
    orientation: int
    """Quarter turns, 0..7; from 4 on the layout is mirrored first."""
    chances: npt.NDArray[np.float64] | None
    """Chances of relabelling, (K, K); None: classes stay."""
    random: tuple[int, ...]
    """Seed of the relabelling."""
    seeds: tuple[int, ...]
    """Seeds of the sample, in the order in which they are tried."""
    slide: str = ""
    """Slide or patient of the layout's tile; empty where the layout has none."""

    def final_layout(self) -> Layout:
        """The layout to sample, in its orientation and with its final classes."""
        layout = self.layout if isinstance(self.layout, Layout) else self.layout.layout()
        layout = oriented(layout, self.orientation)
        if self.chances is None:
            return layout
        return relabelled(layout, self.chances, np.random.default_rng(self.random))


@dataclass(frozen=True)
class _Candidate:
    """A layout that can be drawn, or a layout model in one organ."""

    entry: int | None
    pilot: int | None
    tissue: str
    counts: npt.NDArray[np.float64]
    """Expected nuclei of each class."""


class Draws:
    """The jobs of a plan's samples by number."""

    def __init__(
        self, plan: Plan, pool: Pool, data_root: Path, classes: ClassTable, mpp: float
    ) -> None:
        self.plan, self.pool, self.data_root = plan, pool, data_root
        self.classes, self.mpp = classes, mpp
        self._candidates, base, groups = self._weigh()
        counts = np.stack([c.counts for c in self._candidates])
        self.before: Shares = expected_shares(base, counts)
        """Expected shares of the classes without a target."""
        self.target: Shares | None = None
        self.chances: npt.NDArray[np.float64] | None = None
        self.weights = base
        self.expected = self.before
        """Expected shares of the classes in the data set."""
        if plan.balance is not None:
            self.target = full_target(plan.balance.target, self.before, classes)
            if plan.balance.method == "choose":
                self.weights = tilted(base, counts, self.target, groups)
                self.expected = expected_shares(self.weights, counts)
            else:
                self.expected = self.target
                if plan.balance.method == "relabel":
                    self.chances = relabelling(self.before, self.target)
        self._edges = np.cumsum(self.weights)
        self._start = float(np.random.default_rng([plan.seed, 0]).random())

    def say(self) -> None:
        """Logs a warning for each class whose target cannot be reached."""
        if self.target is None:
            return
        for name, aim, got in zip(self.classes.names, self.target, self.expected, strict=True):
            if abs(aim - got) > NEAR:
                logger.warning(
                    "balance: choosing among these layouts gives %s a share of %.3f, not %.3f "
                    "(relabel reaches it)", name, got, aim,
                )  # fmt: skip

    def job(self, index: int) -> Job:
        """The job of sample ``index``."""
        number = index // self.plan.per_layout
        # Kronecker's sequence spreads any range of numbers over the layouts by their weights.
        at = (self._start + number * _GOLDEN) % 1.0
        place = int(np.searchsorted(self._edges, at * self._edges[-1], side="right"))
        chosen = self._candidates[min(place, len(self._candidates) - 1)]
        rng = np.random.default_rng([self.plan.seed, 1, number])
        turns, pilot, offset, seed = (
            rng.integers(8),
            rng.random(),
            rng.random(),
            rng.integers(2**62),
        )
        orientation = int(turns) if self.plan.turns else 0
        if self.plan.shape[0] != self.plan.shape[1]:
            orientation = orientation // 2 * 2
        layout: Layout | Drawn
        if chosen.entry is not None:
            entry = self.pool.entries[chosen.entry]
            layout, origin, slide = entry.layout, entry.origin, entry.slide
        else:
            assert chosen.pilot is not None
            model = self.pool.pilots[chosen.pilot]
            source = self.plan.layouts[model.source]
            assert isinstance(source, ModelLayouts)
            path = model_path(source, self.data_root)
            layout = self._drawn(path, model, chosen.tissue, int(seed), pilot, offset)
            origin, slide = f"{told(source.path)} seed {int(seed)}", ""
        return Job(
            index, layout, chosen.tissue, origin, orientation, self.chances,
            (self.plan.seed, 2, number), self.plan.seeds_of(index), slide,
        )  # fmt: skip

    def _drawn(
        self, path: str, model: Pilot, tissue: str, seed: int, pilot: float, offset: float,
    ) -> Drawn:  # fmt: skip
        counts = None
        if self.target is not None and self.plan.balance and self.plan.balance.method == "counts":
            total = int(model.counts[int(pilot * len(model.counts))].sum())
            names, each = self.classes.names[1:], divided(total, self.target, offset)[1:]
            counts = tuple((n, int(c)) for n, c in zip(names, each, strict=True))
        return Drawn(
            path, model.sha256, self.plan.shape, seed, self.mpp, tissue, counts, self.classes,
        )  # fmt: skip

    def _weigh(
        self,
    ) -> tuple[list[_Candidate], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """The candidates, their weights without a target, and the index of each one's organ."""
        plan, candidates = self.plan, list[_Candidate]()
        weights: list[float] = []
        groups: list[int] = []
        organs: list[tuple[str | None, float]] = [(None, 1.0)]
        if plan.organs:
            total = sum(plan.organs.values())
            organs = [(name, weight / total) for name, weight in plan.organs.items()]
        for group, (organ, share) in enumerate(organs):
            able = [self._of_source(i, organ) for i in range(len(plan.layouts))]
            whole = sum(s.weight for s, found in zip(plan.layouts, able, strict=True) if found)
            if not whole:
                raise ValueError(f"organs: {organ}: none of the layouts is of it")
            for source, found in zip(plan.layouts, able, strict=True):
                if not found:
                    continue
                candidates += found
                weights += [share * source.weight / whole / len(found)] * len(found)
                groups += [group] * len(found)
        return candidates, np.array(weights), np.array(groups)

    def _of_source(self, number: int, organ: str | None) -> list[_Candidate]:
        found = [
            _Candidate(i, None, organ or entry.tissue, class_counts(entry.layout).astype(float))
            for i, entry in enumerate(self.pool.entries)
            if entry.source == number and (organ is None or entry.tissue in ("", organ))
        ]
        return found + [
            _Candidate(None, i, pilot.tissue, pilot.counts.mean(0))
            for i, pilot in enumerate(self.pool.pilots)
            if pilot.source == number and (organ is None or pilot.tissue == organ)
        ]


def oriented(layout: Layout, orientation: int) -> Layout:
    """The layout in one of eight orientations, 0..7; 0, 2, 4 and 6 keep the canvas' shape."""
    height, width = layout.shape
    y, x = layout.centroids.astype(np.float64).T
    if orientation >= 4:
        x = width - 1 - x
    for _ in range(orientation % 4):
        y, x, height, width = width - 1 - x, y, width, height
    centroids = on_canvas(np.stack([y, x], 1), (height, width))
    return Layout(centroids, layout.class_ids, (height, width), layout.mpp, layout.classes)
