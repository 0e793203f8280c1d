"""Drawing from a layout model: level, fields, then a chain of nuclei on a window of the canvas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cosynth.layouts.fields import condition_fields, covariance, draw_fields
from napari_cosynth.layouts.gibbs import GibbsSampler, Interaction, Window
from napari_cosynth.layouts.process import LayoutModel, TissueModel
from napari_cosynth.types import ClassTable, Layout

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SPACING = 3.0
"""µm between the nodes of the intensity."""
CONTEXT = 120.0
"""How far around a region existing nuclei tell what grows there, in µm."""
STEERED, FREE, COUNTED = 24, 12, 12
"""Sweeps while the intensity is steered to its level, then without, then with counts held."""
_INSIDE, _BEYOND = 1, 2
"""Parts of the window: where nuclei are wanted, and beyond the canvas' edge."""


@dataclass(frozen=True)
class Place:
    """The part of a canvas that is drawn: all of it, or a window around a region."""

    shape: tuple[int, int]
    mpp: float
    region: npt.NDArray[np.bool_] | None
    origin: Floats
    """(y, x) of the window's corner from the canvas' corner, in µm."""
    extent: Floats
    """Of the window, in µm."""

    @classmethod
    def of(
        cls,
        shape: tuple[int, int],
        mpp: float,
        region: npt.NDArray[np.bool_] | None,
        reach: float,
    ) -> Place:
        low, high = np.zeros(2), np.array(shape) * mpp
        if region is not None:
            occupied = [np.flatnonzero(region.any(axis)) for axis in (1, 0)]
            low = np.array([o[0] for o in occupied]) * mpp
            high = np.array([o[-1] + 1 for o in occupied]) * mpp
        # A canvas is cut from a larger piece: nuclei beyond its edge keep those at the edge apart.
        return cls(shape, mpp, region, low - reach, high - low + 2 * reach)

    def pixels(self, points: Floats) -> npt.NDArray[np.float32]:
        """Points of the window in the canvas' pixels, as a layout holds them."""
        return ((points + self.origin) / self.mpp - 0.5).astype(np.float32)

    def micrometres(self, centroids: npt.NDArray[np.float32]) -> Floats:
        return (centroids.astype(np.float64) + 0.5) * self.mpp - self.origin

    def part_of(self, points: Floats) -> Ints:
        pixels = self.pixels(points)
        on = ((pixels >= -0.5) & (pixels < np.array(self.shape) - 0.5)).all(1)
        wanted = on.copy()
        if self.region is not None:
            wanted[on] = on_region(pixels[on], self.region)
        return np.where(wanted, _INSIDE, np.where(on, 0, _BEYOND))


def on_region(
    centroids: npt.NDArray[np.float32], region: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Which centroids on a canvas lie on a pixel of the region, bool (N,)."""
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
    """What ``LayoutModel.sample`` says."""
    tissue = model.tissue(tissue_name)
    table = model.table if existing is None else existing.classes
    shape = _checked(model, tissue, shape, seed, mpp, counts, region, existing)
    rng = np.random.default_rng(seed)
    kept: Layout | None = None
    if existing is not None and region is not None:
        outside = ~on_region(existing.centroids, region)
        kept = Layout(existing.centroids[outside], existing.class_ids[outside], shape, mpp, table)
        if not region.any():
            return kept
    interaction = _of_tissue(model, tissue)
    place = Place.of(shape, mpp, region, interaction.reach)
    points, classes = _draw(tissue, model.scales, interaction, place, counts, kept, rng)
    ids = np.array([table.index(name) for name in tissue.classes], np.uint8)[classes]
    centroids = place.pixels(points)
    if kept is not None:
        centroids = np.concatenate([kept.centroids, centroids])
        ids = np.concatenate([kept.class_ids, ids])
    return Layout(centroids, ids, shape, mpp, table)


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
    empty = np.zeros((0, 2), np.float32), np.zeros(0, np.uint8)
    shape = Layout(*empty, shape, mpp, model.table).shape  # refuses bad shapes and pixel sizes
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed: expected 0..2^63-1, got {seed}")
    for name, count in counts.items():
        if name not in tissue.classes:
            known = ", ".join(tissue.classes)
            raise ValueError(f"counts: expected classes of {known}, got {name!r}")
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
    """The interactions of a tissue's classes, and last of an unknown class that has a body only."""
    rows = [model.classes.index(name) for name in tissue.classes]
    whole = model.interaction
    core = np.pad(whole.hard_core[np.ix_(rows, rows)], (0, 1))
    core[-1, :-1] = core[:-1, -1] = np.diag(core)[:-1]
    potential = np.pad(whole.potential[np.ix_(rows, rows)], ((0, 1), (0, 1), (0, 0)))
    return Interaction(core, whole.knots, potential)


def _draw(
    tissue: TissueModel,
    scales: tuple[float, ...],
    interaction: Interaction,
    place: Place,
    counts: Mapping[str, int],
    kept: Layout | None,
    rng: np.random.Generator,
) -> tuple[Floats, Ints]:
    count = len(tissue.classes)
    points, classes = np.zeros((0, 2)), np.zeros(0, np.int64)
    if kept is not None:
        points = place.micrometres(kept.centroids)
        names = [kept.classes.names[i] for i in kept.class_ids]
        classes = np.array(
            [tissue.classes.index(n) if n in tissue.classes else count for n in names], np.int64
        )
    area = float(place.extent.prod()) / 1e6
    level = _level(tissue, counts, area, rng)
    fields = _fields(tissue, scales, place.extent, rng)
    with np.errstate(divide="ignore"):
        log_level = np.log(level / 1e6)
    for number, name in enumerate(tissue.classes):
        if name in counts:  # only the shape of its intensity matters
            log_level[number] = np.log(1e-4) if counts[name] else -np.inf
    activity = np.full((count + 1, *fields.shape[1:]), -np.inf)
    activity[:-1] = log_level[:, None, None] + fields
    window = Window(place.extent, activity, SPACING, place.part_of)
    near = ((points > -interaction.reach) & (points < place.extent + interaction.reach)).all(1)
    chain = GibbsSampler(interaction, window, rng, (points[near], classes[near]))
    expected = _expected(window, place)
    wanted = {tissue.classes.index(name): number for name, number in counts.items()}
    _run(chain, place, expected, wanted, tissue.classes)
    points, classes = chain.points()
    inside = place.part_of(points) == _INSIDE
    return points[inside], classes[inside]


def _level(
    tissue: TissueModel, counts: Mapping[str, int], area: float, rng: np.random.Generator
) -> Floats:
    """Nuclei per mm² by class: those of one of its tiles, likelier one that fits the counts."""
    levels = np.array(tissue.levels)
    return np.asarray(levels[rng.integers(len(levels))])


def _fields(
    tissue: TissueModel, scales: tuple[float, ...], extent: Floats, rng: np.random.Generator
) -> Floats:
    matrices = [np.array(matrix) for matrix in tissue.covariances]
    shape = (int(np.ceil(extent[0] / SPACING)), int(np.ceil(extent[1] / SPACING)))
    if not matrices:
        return np.zeros((len(tissue.classes), *shape))
    variance = np.diag(covariance(matrices, scales, np.zeros(())))
    return draw_fields(matrices, scales, shape, SPACING, rng) - variance[:, None, None] / 2


def _expected(window: Window, place: Place) -> Floats:
    """The nuclei that the intensity alone gives each class in each part, (3, K)."""
    grid = np.stack(np.mgrid[: window.log_activity.shape[1], : window.log_activity.shape[2]], -1)
    part = place.part_of((grid.reshape(-1, 2) + 0.5) * window.spacing)
    mass = np.exp(window.log_activity).reshape(len(window.log_activity), -1) * window.spacing**2
    return np.stack([mass[:, part == p].sum(1) for p in range(3)])


def _tally(chain: GibbsSampler, place: Place) -> Ints:
    """Nuclei of each class in each part, (3, K)."""
    points, classes = chain.points()
    found = np.zeros((3, len(chain.tilt)), np.int64)
    np.add.at(found, (place.part_of(points), classes), 1)
    return found


def _run(
    chain: GibbsSampler,
    place: Place,
    expected: Floats,
    wanted: Mapping[int, int],
    names: tuple[str, ...],
) -> None:
    """Steers the counts to what is expected, lets them vary, then holds those that are wanted."""
    target = expected[_INSIDE] + expected[_BEYOND]
    for number, count in wanted.items():
        share = expected[_INSIDE, number] / max(target[number], 1e-12)
        target[number] = count / max(share, 1e-3)
    for sweep in range(STEERED):
        chain.sweep(4)
        found = _tally(chain, place).sum(0)
        step = np.clip(np.log((target + 1) / (found + 1)), -1, 1)
        chain.tilt = np.clip(chain.tilt + step * min(1.0, 4 / (sweep + 1)), -6, 6)
    for _ in range(FREE):
        chain.sweep(4)
    if not wanted:
        return
    for number, count in wanted.items():
        _set_count(chain, place, number, count, names[number])
        chain.counted[number] = True
    for _ in range(COUNTED):
        chain.sweep(4)


def _set_count(chain: GibbsSampler, place: Place, number: int, count: int, name: str) -> None:
    """Removes or adds nuclei of a class where they are wanted until there are ``count``."""
    for attempt in range(60):
        points, classes = chain.points()
        inside = place.part_of(points) == _INSIDE
        own = np.flatnonzero(inside & (classes == number))
        if len(own) > count:
            gone = chain.rng.choice(own, len(own) - count, replace=False)
            chain.put(np.delete(points, gone, 0), np.delete(classes, gone))
            return
        if len(own) == count:
            return
        if attempt:
            chain.sweep(4)
        missing = count - len(own)
        places = chain.rng.uniform(0, 1, (max(1000, 20 * missing), 2)) * place.extent
        places = places[place.part_of(places) == _INSIDE]
        tags = np.full(len(places), number)
        if not len(places):
            continue
        log_rate = chain.log_papangelou(places, tags)
        for row in np.argsort(-(log_rate + chain.rng.gumbel(size=len(places)))):
            if missing == 0 or log_rate[row] == -np.inf:
                break
            if np.isfinite(chain.log_papangelou(places[row : row + 1], tags[:1])[0]):
                chain._add(
                    chain.cells_of(places[row : row + 1]), *places[row : row + 1].T, tags[:1]
                )
                missing -= 1
    points, classes = chain.points()
    own = int(((place.part_of(points) == _INSIDE) & (classes == number)).sum())
    if own != count:
        raise ValueError(
            f"counts: {name}: {count} nuclei do not fit beside the others (only {own} did)"
        )
