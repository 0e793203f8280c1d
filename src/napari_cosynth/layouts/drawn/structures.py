"""Structures drawn by hand: glands, streams and fields of nuclei, from outlines and strokes.

New nuclei keep their distance from each other and from the points that are already there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from skimage.measure import points_in_poly

from napari_cosynth.layouts.drawn.outline import Outline, Points
from napari_cosynth.layouts.drawn.spacing import admitted, clear_of

Inside: TypeAlias = Callable[[Points], npt.NDArray[np.bool_]]
"""Tells which of the points (N, 2) lie in a region, (N,)."""

BATCHES = 24
"""Batches of random places, each twice as many as there is room for; a region is then nearly full."""
STRETCH = 2.2
"""Spacing of spindle-shaped nuclei along a bundle over that across it, as in the bundled pattern of
smooth muscle."""
RING_JITTER = 0.12
"""Standard deviation of a gland's nuclei across its ring, as a part of their spacing."""
RING_GAP = 0.75
"""Gap between the ring and the stroma outside, as a part of the ring's spacing."""


@dataclass(frozen=True)
class Spacing:
    """Distances between nuclei, in pixels."""

    mean: float
    """Mean spacing: there is one nucleus per ``mean ** 2``."""
    least: float
    """Least distance to any other nucleus."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mean) and self.mean > 0 and 0 <= self.least < np.inf):
            raise ValueError(f"spacing: expected pixels above 0, got {self.mean}, {self.least}")


def drawn_outline(centre: tuple[float, float], rim: tuple[float, float], seed: int) -> Outline:
    """The outline of a gland by its centre and a point of its rim, (y, x) in pixels.

    The seed decides its waves.
    """
    rng = np.random.default_rng(seed)
    y, x = np.subtract(rim, centre)
    waves = tuple(
        (count, amplitude * float(rng.uniform(0.5, 1)), float(rng.uniform(0, 2 * np.pi)))
        for count, amplitude in ((2, 0.1), (3, 0.05))
    )
    unit = Outline((0.0, 0.0), 1.0, waves)
    through = float(unit.radius_at(np.array([np.arctan2(y, x)]))[0])
    return Outline(centre, float(np.hypot(y, x)) / through, waves)


def gland(
    outline: Outline, spacing: Spacing, shape: tuple[int, int], there: Points, seed: int
) -> Points:
    """A ring of nuclei along an outline, (N, 2), on the canvas of ``shape``; inside is the lumen."""
    rng = np.random.default_rng(seed)
    ring = outline.rim(spacing.mean, RING_JITTER * spacing.mean, rng)
    ring = ring[on_canvas(ring, shape)]
    return ring[admitted(ring, there, spacing.least)]


def stroma(
    outline: Outline,
    width: float,
    gap: float,
    spacing: Spacing,
    shape: tuple[int, int],
    there: Points,
    seed: int,
) -> Points:
    """Nuclei in a band around an outline, (N, 2); it is ``width`` pixels wide, ``gap`` pixels outside."""
    outer = float(outline.radius_at(np.linspace(0, 2 * np.pi, 720)).max()) + gap + width
    box = np.array([np.subtract(outline.centre, outer), np.add(outline.centre, outer)])

    def band(points: Points) -> npt.NDArray[np.bool_]:
        outside = -outline.depth(points)
        return np.asarray((outside >= gap) & (outside <= gap + width))

    return filled(band, box, spacing, shape, there, seed)


def polygon(vertices: npt.NDArray[np.floating]) -> tuple[Inside, Points]:
    """The test for points inside a polygon (V, 2), and the polygon's bounding box (2, 2)."""
    corners = np.asarray(vertices, np.float64)
    return (
        lambda points: np.asarray(points_in_poly(points, corners), bool),
        np.array([corners.min(0), corners.max(0)]),
    )


def disc(centre: tuple[float, float], rim: tuple[float, float]) -> tuple[Inside, Points]:
    """The test for points inside the circle about ``centre`` through ``rim``, and its box (2, 2)."""
    middle = np.array(centre, np.float64)
    radius = float(np.hypot(*np.subtract(rim, centre)))
    return (
        lambda points: np.asarray(((points - middle) ** 2).sum(1) <= radius**2),
        np.array([middle - radius, middle + radius]),
    )


def filled(
    inside: Inside,
    box: Points,
    spacing: Spacing,
    shape: tuple[int, int],
    there: Points,
    seed: int,
) -> Points:
    """Random nuclei in a region, (N, 2): one per ``spacing.mean ** 2``, as far as ``least`` allows.

    ``inside`` tells which points lie in the region; ``box`` (2, 2) are the corners of its bounding box.
    Existing nuclei do not count.
    """
    rng = np.random.default_rng(seed)
    low = np.maximum(box[0], -0.5)
    high = np.minimum(box[1], np.array(shape) - 0.5)
    if (high <= low).any():
        return np.zeros((0, 2))
    area = float(np.prod(high - low))
    batch = max(16, round(2 * area / max(spacing.mean, spacing.least) ** 2))
    # The share of darts that hit the region gives its area, and so its number of nuclei.
    thrown = hits = 0
    placed: Points = np.zeros((0, 2))
    near = there[((there > low - spacing.least) & (there < high + spacing.least)).all(1)]
    for _ in range(BATCHES):
        darts = rng.uniform(low, high, (batch, 2))
        darts = darts[inside(darts) & on_canvas(darts, shape)]
        thrown, hits = thrown + batch, hits + len(darts)
        missing = max(0, round(hits / thrown * area / spacing.mean**2) - len(placed))
        there = np.concatenate([near, placed])
        placed = np.concatenate([placed, darts[admitted(darts, there, spacing.least, missing)]])
        if not missing:
            break
    return placed


def stream(
    path: npt.NDArray[np.floating],
    width: float,
    spacing: Spacing,
    shape: tuple[int, int],
    there: Points,
    seed: int,
    stretch: float = STRETCH,
) -> Points:
    """Nuclei, (N, 2), in a band of ``width`` pixels along a stroke (V, 2), aligned with it.

    The band is filled while straight, in a space where ``stretch`` pixels along it count as one, and is
    then bent along the stroke. So the distance to the next nucleus is ``stretch`` times as large along
    the stroke as across it, still with one nucleus per ``spacing.mean ** 2``. In the bends, nuclei that
    come too near to another are left out.
    """
    line = _smooth(np.asarray(path, np.float64))
    lengths = np.concatenate([[0.0], np.hypot(*np.diff(line, axis=0).T).cumsum()])
    if len(line) < 2 or lengths[-1] < spacing.mean:
        return np.zeros((0, 2))
    across = spacing.mean / np.sqrt(stretch)
    least = min(spacing.least, 0.9 * across)
    # In these units the nuclei of the straight band are as far apart along it as across.
    extent = np.array([lengths[-1] / stretch, width])
    box = np.array([[0.0, 0.0], extent])
    straight = filled(
        lambda points: np.ones(len(points), bool),
        box,
        Spacing(across, 0.8 * across),
        (int(np.ceil(extent[0])) + 1, int(np.ceil(extent[1])) + 1),
        np.zeros((0, 2)),
        seed,
    )
    bent = _bent(line, lengths, straight[:, 0] * stretch, straight[:, 1] - width / 2)
    bent = bent[on_canvas(bent, shape)]
    bent = bent[admitted(bent, np.zeros((0, 2)), least)]
    return bent[clear_of(bent, there, spacing.least)]


def on_canvas(points: Points, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """True for points (N, 2) that lie on the canvas even after rounding to float32."""
    rounded = points.astype(np.float32)
    return np.asarray(((rounded >= -0.5) & (rounded < np.array(shape) - 0.5)).all(1))


def _bent(
    line: Points,
    lengths: npt.NDArray[np.float64],
    along: npt.NDArray[np.float64],
    across: npt.NDArray[np.float64],
) -> Points:
    """Points ``along`` pixels from the start of a line and ``across`` pixels beside it, (N, 2)."""
    tangents = np.gradient(line, lengths, axis=0)
    at = np.stack([np.interp(along, lengths, line[:, axis]) for axis in (0, 1)], 1)
    tangent = np.stack([np.interp(along, lengths, tangents[:, axis]) for axis in (0, 1)], 1)
    tangent /= np.maximum(np.hypot(*tangent.T), 1e-9)[:, None]
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], 1)
    return np.asarray(at + across[:, None] * normal, np.float64)


def _smooth(path: Points) -> Points:
    """A stroke at even steps of about a pixel, with the mouse's corners smoothed."""
    steps = np.hypot(*np.diff(path, axis=0).T)
    path = path[np.concatenate([[True], steps > 0])]
    if len(path) < 2:
        return path
    lengths = np.concatenate([[0.0], np.hypot(*np.diff(path, axis=0).T).cumsum()])
    even = np.linspace(0, lengths[-1], max(2, round(lengths[-1])))
    line = np.stack([np.interp(even, lengths, path[:, axis]) for axis in (0, 1)], 1)
    reach = min(5, (len(line) - 1) // 2)
    if reach < 1:
        return line
    kernel = np.ones(2 * reach + 1) / (2 * reach + 1)
    # Mirrored about its ends, so that smoothing leaves them in place.
    lead, tail = 2 * line[0] - line[reach:0:-1], 2 * line[-1] - line[-2 : -reach - 2 : -1]
    long = np.concatenate([lead, line, tail])
    return np.stack([np.convolve(long[:, axis], kernel, "valid") for axis in (0, 1)], 1)
