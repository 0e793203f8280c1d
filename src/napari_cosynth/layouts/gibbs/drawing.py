"""Drawing from a layout model: an intensity, and then a chain of nuclei, on a window of the canvas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cosynth.io.errors import one_of
from napari_cosynth.layouts.gibbs.intensity import (
    CONTEXT,
    SPACING,
    Surroundings,
    draw_log_activity,
    nodes_of,
)
from napari_cosynth.layouts.gibbs.model import LayoutModel, TissueModel
from napari_cosynth.layouts.gibbs.sampler import GibbsSampler, Interaction, Window
from napari_cosynth.layouts.gibbs.steering import BEYOND, INSIDE, expected, run
from napari_cosynth.types import ClassTable, Layout

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Place:
    """The window in which nuclei are drawn: a whole canvas or the box of a region, with a margin."""

    shape: tuple[int, int]
    mpp: float
    region: npt.NDArray[np.bool_] | None
    origin: Floats
    """(y, x) of the window's corner from the canvas' corner, in µm."""
    extent: Floats
    """(height, width) of the window in µm."""

    @classmethod
    def of(
        cls,
        shape: tuple[int, int],
        mpp: float,
        region: npt.NDArray[np.bool_] | None,
        reach: float,
    ) -> Place:
        low, high = np.zeros(2), np.array(shape, float) * mpp
        if region is not None:
            occupied = [np.flatnonzero(region.any(axis)) for axis in (1, 0)]
            low = np.array([o[0] for o in occupied]) * mpp
            high = np.array([o[-1] + 1 for o in occupied]) * mpp
        # Real tissue goes on beyond the canvas, and nuclei there keep those at the edge at a distance.
        return cls(shape, mpp, region, low - reach, high - low + 2 * reach)

    def pixels(self, points: Floats) -> npt.NDArray[np.float32]:
        """Points of the window, in the canvas' pixels as in a layout."""
        return ((points + self.origin) / self.mpp - 0.5).astype(np.float32)

    def micrometres(self, centroids: npt.NDArray[np.float32]) -> Floats:
        return (centroids.astype(np.float64) + 0.5) * self.mpp - self.origin

    def part_of(self, points: Floats) -> Ints:
        pixels = self.pixels(points)
        on = np.asarray(((pixels >= -0.5) & (pixels < np.array(self.shape) - 0.5)).all(1))
        wanted = on.copy()
        if self.region is not None:
            wanted[on] = on_region(pixels[on], self.region)
        return np.where(wanted, INSIDE, np.where(on, 0, BEYOND))


def on_region(
    centroids: npt.NDArray[np.float32], region: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """True for centroids on a pixel of the region, bool (N,)."""
    at = np.floor(centroids.astype(np.float64) + 0.5).astype(np.int64)
    at = np.clip(at, 0, np.array(region.shape) - 1)
    return np.asarray(region[at[:, 0], at[:, 1]])


def draw(
    model: LayoutModel,
    shape: tuple[int, int],
    seed: int,
    mpp: float,
    tissue_name: str,
    counts: Mapping[str, int],
    region: npt.NDArray[np.bool_] | None,
    existing: Layout | None,
) -> Layout:
    """A layout drawn from the model; arguments and errors as for ``LayoutModel.sample``."""
    tissue = model.tissue(tissue_name)
    table = model.table if existing is None else existing.classes
    shape = _checked(model, tissue, shape, seed, mpp, counts, region, existing)
    rng = np.random.default_rng(seed)
    kept: Layout | None = None
    if existing is not None and region is not None:
        outside = ~on_region(existing.centroids, region)
        ids = existing.class_ids[outside]
        kept = Layout(existing.centroids[outside], ids, shape, mpp, table)
    if region is not None and not region.any():
        if any(counts.values()):
            raise ValueError("region: expected pixels to put nuclei on, got none")
        return _empty(shape, mpp, table) if kept is None else kept
    place = Place.of(shape, mpp, region, model.knots[-1])
    points, classes = _draw(model, tissue, place, counts, kept, rng)
    ids = np.array([table.index(name) for name in tissue.classes], np.uint8)[classes]
    centroids = place.pixels(points)
    if kept is not None:
        centroids = np.concatenate([kept.centroids, centroids])
        ids = np.concatenate([kept.class_ids, ids])
    return Layout(centroids, ids, shape, mpp, table)


def _empty(shape: tuple[int, int], mpp: float, table: ClassTable) -> Layout:
    return Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), shape, mpp, table)


def _checked(
    model: LayoutModel,
    tissue: TissueModel,
    shape: tuple[int, int],
    seed: int,
    mpp: float,
    counts: Mapping[str, int],
    region: npt.NDArray[np.bool_] | None,
    existing: Layout | None,
) -> tuple[int, int]:
    shape = _empty(shape, mpp, model.table).shape  # refuses bad shapes and pixel sizes
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed: expected 0..2^63-1, got {seed}")
    for name, count in counts.items():
        if name not in tissue.classes:
            raise ValueError(f"counts: {one_of(name, tissue.classes)}")
        if count < 0:
            raise ValueError(f"counts: {name}: expected 0 or more, got {count}")
    if region is not None and (region.dtype != np.bool_ or region.shape != shape):
        raise ValueError(f"region: expected bool {shape}, got {region.dtype} {region.shape}")
    if existing is None:
        return shape
    if region is None:
        raise ValueError("existing: expected a region, in which its nuclei are replaced")
    if existing.shape != shape or not np.isclose(existing.mpp, mpp, rtol=1e-6):
        raise ValueError(
            f"existing: expected a canvas of {shape} at {mpp:g} µm/px, got {existing.shape} "
            f"at {existing.mpp:g}"
        )
    for name in tissue.classes:
        existing.classes.index(name)
    return shape


def _of_tissue(model: LayoutModel, tissue: TissueModel) -> Interaction:
    """The interactions of a tissue's classes; the last class stands for others, with a hard core only."""
    rows = [model.classes.index(name) for name in tissue.classes]
    whole = model.interaction
    core = np.pad(whole.hard_core[np.ix_(rows, rows)], (0, 1))
    core[-1, :-1] = core[:-1, -1] = np.diag(core)[:-1]
    potential = np.pad(whole.potential[np.ix_(rows, rows)], ((0, 1), (0, 1), (0, 0)))
    return Interaction(core, whole.knots, potential)


def _draw(
    model: LayoutModel,
    tissue: TissueModel,
    place: Place,
    counts: Mapping[str, int],
    kept: Layout | None,
    rng: np.random.Generator,
) -> tuple[Floats, Ints]:
    """New nuclei in the region or canvas: (N, 2) in µm from the window's corner, and classes (N,)."""
    names = tissue.classes
    interaction = _of_tissue(model, tissue)
    wanted = {names.index(name): number for name, number in counts.items()}
    nodes = node_centres(nodes_of(place.extent))
    area = float((place.part_of(nodes) == INSIDE).mean() * place.extent.prod()) / 1e6
    density = {k: n / max(area, 1e-9) for k, n in wanted.items()}
    points, classes = np.zeros((0, 2)), np.zeros(0, np.int64)
    surroundings: Surroundings | None = None
    if kept is not None:
        points = place.micrometres(kept.centroids)
        number = {name: i for i, name in enumerate(names)}
        table = np.array([number.get(name, len(names)) for name in kept.classes.names])
        classes = table[kept.class_ids]
        around = node_centres(nodes_of(place.extent, CONTEXT)) - CONTEXT * SPACING
        seen = place.part_of(around) == 0
        surroundings = Surroundings(points, classes, seen.reshape(nodes_of(place.extent, CONTEXT)))
    activity = np.full((len(names) + 1, *nodes_of(place.extent)), -np.inf)
    activity[:-1] = draw_log_activity(
        tissue, model.scales, model.nodes, place.extent, density, surroundings, rng
    )
    window = Window(place.extent, activity, SPACING, place.part_of)
    near = ((points > -interaction.reach) & (points < place.extent + interaction.reach)).all(1)
    chain = GibbsSampler(interaction, window, rng, (points[near], classes[near]))
    run(chain, expected(window), wanted, names)
    points, classes = chain.points()
    inside = place.part_of(points) == INSIDE
    return points[inside], classes[inside]


def node_centres(shape: tuple[int, int]) -> Floats:
    """Centres of the nodes, (h * w, 2) in µm, row by row."""
    return np.asarray((np.indices(shape).reshape(2, -1).T + 0.5) * SPACING, np.float64)
