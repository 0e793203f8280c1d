"""Patterns: layouts of typical tissue, drawn by a seeded generator and bundled with the package.

Each pattern is a canvas at 0.5 µm/px. Spacings follow CoNSeP's tiles on that grid. There the median
distance to the nearest nucleus is 7 px in a lymphoid follicle and 9-10 px in glands and tumour. A patch
of 256 x 256 pixels holds about 600 nuclei in a follicle, 150-250 in glands and tumour, and 80-150 in
smooth muscle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from napari_cosynth.known import SAMPLES as SAMPLES
from napari_cosynth.layouts.drawn.outline import Outline, Points
from napari_cosynth.layouts.sources.points_csv import read_layout
from napari_cosynth.types import Layout
from napari_cosynth.types.classes import BUNDLED

MPP = 0.5
"""Micrometres per pixel of every pattern."""
SHAPE = (256, 256)
DECIMALS = 2
"""Decimals of a point's coordinates, so that a CSV file holds them exactly."""
SPACING = {
    "inflammatory": 6.5,
    "healthy epithelial": 8.0,
    "malignant epithelial": 9.5,
    "spindle-shaped": 7.5,
    "miscellaneous": 8.0,
}
"""Least distance between two nuclei of a class, in pixels; for two classes it is their mean."""

Density: TypeAlias = Callable[[Points], npt.NDArray[np.float64]]
"""Probability of a nucleus, (N,) in 0..1, at each of the points (N, 2)."""


@dataclass(frozen=True)
class BundledLayout:
    """A layout that comes with the package."""

    title: str
    """Title in menus."""
    tissue: str
    """Tissue as a prompt names it."""
    layout: Layout


class Canvas:
    """The nuclei placed so far; a new one is refused where it comes too close to another."""

    def __init__(self, seed: int, shape: tuple[int, int] = SHAPE) -> None:
        self.shape = shape
        self.rng = np.random.default_rng(seed)
        self._points = np.zeros((0, 2))
        self._reach = np.zeros(0)
        self._ids: list[int] = []

    def place(self, points: Points, name: str, stretch: tuple[float, float] | None = None) -> None:
        """Adds those points of one class that fit, in their order.

        ``stretch`` is (direction in radians from the x axis, factor). Spindles in a bundle keep
        ``factor`` times as much distance along its direction as across it.
        """
        end = np.array(self.shape) - 0.5
        inside = (points > -0.5).all(1) & (points.round(DECIMALS) < end).all(1)
        for point in points[inside]:
            away = self._points - point
            if stretch:
                direction, factor = stretch
                along = away @ np.array([np.sin(direction), np.cos(direction)])
                across = away @ np.array([np.cos(direction), -np.sin(direction)])
                away = np.stack([along / factor, across], 1)
            if (np.hypot(*away.T) >= (self._reach + SPACING[name]) / 2).all():
                self._points = np.vstack([self._points, point])
                self._reach = np.append(self._reach, SPACING[name])
                self._ids.append(BUNDLED.index(name))

    def scatter(
        self,
        count: int,
        name: str,
        density: Density,
        stretch: tuple[float, float] | None = None,
        attempts: int = 40,
    ) -> None:
        """Adds up to ``count`` nuclei of one class at random places, distributed by ``density``."""
        aim = len(self._ids) + count
        for _ in range(attempts):
            missing = aim - len(self._ids)
            if missing <= 0:
                return
            candidates = self.rng.uniform(-0.5, np.array(self.shape) - 0.5, (4 * count, 2))
            accepted = self.rng.uniform(size=len(candidates)) < density(candidates)
            self.place(candidates[accepted][:missing], name, stretch)

    def layout(self) -> Layout:
        centroids = self._points.round(DECIMALS).astype(np.float32)
        return Layout(centroids, np.array(self._ids, np.uint8), self.shape, MPP, BUNDLED)


def _outside(outlines: tuple[Outline, ...], margin: float) -> Density:
    """1 at least ``margin`` pixels outside every outline, else 0."""
    return lambda points: np.all([o.depth(points) < -margin for o in outlines], 0).astype(float)


def _clumps(rng: np.random.Generator, shape: tuple[int, int], count: int, size: float) -> Density:
    """Density of clouds of cells: ``count`` Gaussian spots with a sigma of ``size`` pixels."""
    centres = rng.uniform(0, 1, (count, 2)) * np.array(shape)

    def density(points: Points) -> npt.NDArray[np.float64]:
        squared = ((points[:, None] - centres[None]) ** 2).sum(-1)
        return np.asarray(np.exp(-squared / (2 * size**2)).max(1), float)

    return density


def _both(first: Density, second: Density) -> Density:
    return lambda points: np.asarray(first(points) * second(points), float)


def gland_ring(seed: int = 0) -> Layout:
    """A colonic crypt cut across, parts of its neighbours, and stroma with lymphocytes between."""
    canvas = Canvas(seed)
    glands = (
        Outline((126, 118), 56, ((2, 0.10, 0.6), (3, 0.04, 2.0))),
        Outline((-8, 40), 60, ((2, 0.08, 1.0),)),
        Outline((40, 236), 46, ((2, 0.08, 2.5), (3, 0.03, 0.0))),
        Outline((250, 224), 62, ((2, 0.10, 0.2), (3, 0.04, 1.0))),
        Outline((262, 24), 52, ((2, 0.08, 1.4),)),
    )
    for gland in glands:
        canvas.place(gland.rim(9.6, 1.1, canvas.rng), "healthy epithelial")
    stroma = _outside(glands, 7)
    clouds = _clumps(canvas.rng, canvas.shape, 7, 26)
    canvas.scatter(62, "inflammatory", _both(stroma, clouds))
    canvas.scatter(58, "spindle-shaped", stroma)
    return canvas.layout()


def spindle_stream(seed: int = 0) -> Layout:
    """Smooth muscle: bundles of spindle-shaped nuclei along one direction, few lymphocytes."""
    canvas = Canvas(seed)
    direction = np.deg2rad(24)
    normal = np.array([np.cos(direction), -np.sin(direction)])
    tangent = np.array([np.sin(direction), np.cos(direction)])

    def bundles(points: Points) -> npt.NDArray[np.float64]:
        # Pale clefts between bundles, about 50 px apart and gently wavy.
        across = points @ normal + 6 * np.sin(points @ tangent / 45)
        return np.asarray(0.08 + 0.92 * np.cos(np.pi * across / 50) ** 2, float)

    canvas.scatter(112, "spindle-shaped", bundles, (direction, 2.2))
    clouds = _clumps(canvas.rng, canvas.shape, 4, 10)
    canvas.scatter(16, "inflammatory", clouds)
    return canvas.layout()


def inflammatory_field(seed: int = 0) -> Layout:
    """A lymphoid aggregate: tightly packed lymphocytes with pale sinuses and a few fibroblasts."""
    canvas = Canvas(seed)
    sinuses = _clumps(canvas.rng, canvas.shape, 12, 11)
    canvas.scatter(36, "spindle-shaped", lambda points: np.ones(len(points)))
    canvas.scatter(470, "inflammatory", lambda points: 1 - 0.95 * sinuses(points))
    canvas.scatter(4, "miscellaneous", sinuses)
    return canvas.layout()


def tumour_field(seed: int = 0) -> Layout:
    """Nests of malignant epithelium, one with a lumen, in reactive stroma with inflammation."""
    canvas = Canvas(seed)
    nests = (
        Outline((66, 78), 62, ((2, 0.16, 0.4), (3, 0.10, 1.0), (5, 0.05, 0.0))),
        Outline((204, 52), 44, ((2, 0.14, 2.0), (3, 0.08, 0.3))),
        Outline((188, 186), 58, ((2, 0.18, 1.2), (4, 0.08, 2.0), (5, 0.04, 1.0))),
        Outline((26, 226), 40, ((2, 0.12, 0.0), (3, 0.08, 2.2))),
    )
    lumen = Outline((66, 78), 24, ((2, 0.18, 0.4), (3, 0.10, 1.0)))
    slit = Outline((188, 186), 13, ((2, 0.40, 1.2),))
    for nest in nests:
        canvas.place(nest.rim(10.8, 1.6, canvas.rng), "malignant epithelial")
    for hollow in (lumen, slit):
        rim = Outline(hollow.centre, hollow.radius + 9, hollow.waves)
        canvas.place(rim.rim(10.8, 1.6, canvas.rng), "malignant epithelial")

    def epithelium(points: Points) -> npt.NDArray[np.float64]:
        inside = np.any([n.depth(points) > 3 for n in nests], 0)
        hollow = (lumen.depth(points) > -7) | (slit.depth(points) > -7)
        return np.asarray(inside & ~hollow, float)

    # Fewer nuclei than would fit: real nests are looser than the closest packing.
    canvas.scatter(62, "malignant epithelial", epithelium)
    canvas.scatter(5, "miscellaneous", lambda points: (lumen.depth(points) > 6).astype(float))
    stroma = _outside(nests, 8)
    clouds = _clumps(canvas.rng, canvas.shape, 6, 24)
    canvas.scatter(44, "inflammatory", _both(stroma, clouds))
    canvas.scatter(46, "spindle-shaped", stroma)
    return canvas.layout()


PATTERNS: dict[str, tuple[str, str, Callable[[], Layout]]] = {
    "gland": ("Gland ring with stroma", "colon", gland_ring),
    "stream": ("Stream of spindle-shaped nuclei", "colon", spindle_stream),
    "inflammation": ("Dense inflammatory field", "colon", inflammatory_field),
    "tumour": ("Mixed tumour field", "colon", tumour_field),
}
"""Title, tissue and generator of each bundled layout, by its file's name."""


def bundled_layouts() -> dict[str, BundledLayout]:
    """The layouts that come with the package, by name; 256 x 256 pixels at 0.5 µm/px.

    They are read from the package's CSV files and not drawn anew, so that they stay the same if numpy's
    generators change.
    """
    return {
        name: BundledLayout(title, tissue, read_layout(layout_path(name), SHAPE, MPP, BUNDLED))
        for name, (title, tissue, _) in PATTERNS.items()
    }


def layout_path(name: str) -> Path:
    """The CSV file of a bundled layout."""
    return SAMPLES / f"{name}.csv"
