"""Polygons -> centroids inside them, and instances on a canvas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from skimage.draw import polygon

Ring: TypeAlias = npt.NDArray[np.float64]
"""float64 (M, 2), (y, x) in pixels; closed, whether or not it repeats its first vertex."""
Outline: TypeAlias = tuple[tuple[Ring, ...], ...]
"""The parts of one object; a part is its outer ring, then its holes."""
_GRID = 128
"""Most samples along each axis of the grid that is searched for a point inside an outline."""


def outline_centroids(outlines: Sequence[Outline]) -> npt.NDArray[np.float64]:
    """The centroid of each object's area, float64 (N, 2), (y, x), moved into it if it falls outside.

    Areas and moments come from the shoelace formula. Holes are subtracted from their part, whichever way
    their vertices run. An outline without an area (a line, one vertex) gets the mean of its vertices.
    """
    rings = [
        (ring, number, -1.0 if index else 1.0)
        for number, parts in enumerate(outlines)
        for part in parts
        for index, ring in enumerate(part)
        if len(ring)
    ]
    count = len(outlines)
    if not rings:
        return np.zeros((count, 2))
    owner = np.array([number for _, number, _ in rings])
    sign = np.array([s for _, _, s in rings])
    lengths = np.array([len(ring) for ring, _, _ in rings])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    here = np.concatenate([ring for ring, _, _ in rings]).astype(np.float64)
    following = np.arange(1, len(here) + 1)
    following[starts + lengths - 1] = starts
    of_vertex = np.repeat(owner, lengths)
    # Relative to a vertex of the object: a slide's large coordinates would cost precision.
    base = np.zeros((count, 2))
    base[owner[::-1]] = here[starts[::-1]]
    here = here - base[of_vertex]
    there = here[following]
    cross = here[:, 0] * there[:, 1] - there[:, 0] * here[:, 1]
    twice = np.add.reduceat(cross, starts)
    moment = np.add.reduceat((here + there) * cross[:, None], starts)
    # Area and moment both change sign with the ring's direction, so their quotient does not.
    weight = sign * np.abs(twice)
    orient = np.where(twice < 0, -1.0, 1.0) * sign
    area = np.bincount(owner, weight, count)
    sums = np.stack([np.bincount(owner, moment[:, k] * orient, count) for k in (0, 1)], 1)
    totals = np.stack([np.bincount(of_vertex, here[:, k], count) for k in (0, 1)], 1)
    means = totals / np.maximum(np.bincount(of_vertex, minlength=count), 1)[:, None]
    flat = area <= 1e-9
    centroids = np.where(flat[:, None], means, sums / (3 * np.where(flat, 1, area))[:, None])
    crossings = _crossings(centroids[of_vertex], here, there)
    inside = np.bincount(of_vertex, crossings, count).astype(np.int64) % 2 == 1
    found = centroids + base
    for row in np.flatnonzero(~inside & ~flat).tolist():
        found[row] = _nearest_inside(outlines[row], found[row])
    return found


def outline_instances(outlines: Sequence[Outline], shape: tuple[int, int]) -> npt.NDArray[np.int32]:
    """Outlines as instances 1..N on a canvas, int32 (H, W): the pixels whose centres lie inside.

    Where outlines overlap, the smaller one lies on top. Parts outside the canvas are cut off.
    """
    canvas = np.zeros(shape, np.int32)
    sizes = [
        max((float(np.prod(np.ptp(part[0], axis=0))) for part in parts), default=0.0)
        for parts in outlines
    ]
    for row in np.argsort(-np.array(sizes), kind="stable").tolist():
        for part in outlines[row]:
            low, high = part[0].min(0), part[0].max(0)
            y0, x0 = (int(v) for v in np.floor(low).clip(0, shape))
            y1, x1 = (int(v) for v in (np.ceil(high) + 1).clip(0, shape))
            if y1 <= y0 or x1 <= x0:
                continue
            mask = np.zeros((y1 - y0, x1 - x0), bool)
            for ring in part:
                mask[polygon(ring[:, 0] - y0, ring[:, 1] - x0, mask.shape)] ^= True
            canvas[y0:y1, x0:x1][mask] = row + 1
    return canvas


def _crossings(points: Any, here: Any, there: Any) -> npt.NDArray[np.bool_]:
    """Whether a ray from each point along its row crosses the edge from ``here`` to ``there``."""
    y, x = points[..., 0], points[..., 1]
    spans = (here[..., 0] > y) != (there[..., 0] > y)
    rise = np.where(spans, there[..., 0] - here[..., 0], 1.0)
    at = here[..., 1] + (y - here[..., 0]) / rise * (there[..., 1] - here[..., 1])
    return np.asarray(spans & (x < at))


def _nearest_inside(parts: Outline, centroid: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The pixel centre inside an object nearest to its centroid; a vertex if it holds no centre."""
    edges = [(ring, np.roll(ring, -1, axis=0)) for part in parts for ring in part]
    vertices = np.concatenate([ring for ring, _ in edges])
    low, high = np.ceil(vertices.min(0)), np.floor(vertices.max(0))
    axes = [
        np.arange(a, b + 1) if b - a < _GRID else np.linspace(a, b, _GRID)
        for a, b in zip(low, high, strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    odd = np.zeros(len(grid), bool)
    for here, there in edges:
        for a, b in zip(here, there, strict=True):
            odd ^= _crossings(grid, a, b)
    candidates = grid[odd] if odd.any() else vertices
    away = ((candidates - centroid) ** 2).sum(1)
    return np.asarray(candidates[away.argmin()])
