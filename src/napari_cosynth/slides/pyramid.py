"""Slides as every reader returns them: a pyramid of lazy levels, µm/px, and regions of it.

Coordinates are those of the first level, ``(y, x)`` with pixel centres at integers. The levels share
their upper left *corner*: the centre of pixel 0 of a level of downsampling s lies at (s - 1) / 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from napari_cosynth.io.errors import one_line, short_of_memory

SMALL = 2**26
"""Most bytes of a level that is read at once, so that panning over it is immediate."""
LARGEST_FLAT = 2**32
"""Most bytes of a file's coarsest level; up to this size it is read once to make a coarser one."""
LARGEST_TILE = 2**28
"""Most bytes of one decoded tile, strip or chunk. More is no slide but a mistake or an attack."""
LARGEST_SIDE = 2**24
"""Most pixels along a side: 4 m of tissue at 0.25 µm/px."""
_BLOCK = 2048
"""Side of a lazy read in pixels; one task for each tile would make a graph of 100,000 tasks."""


@dataclass(frozen=True)
class Slide:
    """An open slide."""

    levels: tuple[Any, ...]
    """Array-likes (H, W, 3) or (H, W), largest first; numpy if small, else dask."""
    mpp: float | None
    """Micrometres per pixel of the first level; None if the file does not state it."""
    path: Path
    facts: SlideFacts = field(default_factory=lambda: SlideFacts())


@dataclass(frozen=True)
class SlideFacts:
    """Facts that a file states, in words; empty if it does not."""

    format: str = ""
    vendor: str = ""
    compression: str = ""
    mpp_from: str = ""
    """Where µm/px is written."""
    stored: int = 0
    """Number of levels in the file; further ones were made from the last."""


@dataclass(frozen=True)
class LazyLevel:
    """A level that is read a window at a time; failures name the file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    tile: tuple[int, ...]
    """Shape of the file's own tiles or chunks."""
    read: Callable[[tuple[slice, ...]], npt.NDArray[Any]]
    path: Path

    def __post_init__(self) -> None:
        check_size(self.path, self.shape, self.tile, self.dtype.itemsize)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize

    def __getitem__(self, window: tuple[slice, ...]) -> npt.NDArray[Any]:
        try:
            return np.asarray(self.read(window))
        except Exception as error:  # decoders raise what they like on damaged tiles
            y, x = (int(part.start or 0) for part in window[:2])
            if short_of_memory(error):
                height, width = (int(p.stop) - int(p.start or 0) for p in window[:2])
                raise ValueError(
                    f"{self.path}: not enough memory for {height} x {width} pixels at once"
                ) from None
            reason = one_line(error).removeprefix(f"{self.path}: ")
            raise ValueError(
                f"{self.path}: cannot be decoded near row {y}, column {x} ({reason})"
            ) from None

    def as_array(self) -> Any:
        """The level as a numpy array if it is at most ``SMALL``, else as a dask array."""
        if self.nbytes <= SMALL:
            return self[tuple(slice(0, n) for n in self.shape)]
        array = dask_array(self.path)
        sizes = zip(self.tile[:2], self.shape[:2], strict=True)
        chunks = [min(n, max(1, _BLOCK // tile) * tile) for tile, n in sizes]
        return array.from_array(self, chunks=(*chunks, *self.shape[2:]), name=False)


def dask_array(path: Path) -> Any:
    """The module ``dask.array``. Raises ValueError naming the extra if it is missing."""
    try:
        from dask import array
    except ImportError:
        raise ValueError(
            f"{path}: reading a large slide needs dask: pip install 'napari-cosynth[gui]'"
        ) from None
    return array


def check_size(path: Path, shape: Sequence[int], tile: Sequence[int], itemsize: int = 1) -> None:
    """Raises ValueError if a file states sizes that no slide has; called before any pixel is read."""
    if len(shape) not in (2, 3) or not all(0 < n <= LARGEST_SIDE for n in shape[:2]):
        raise ValueError(
            f"{path}: expected 1 to {LARGEST_SIDE} pixels a side, got {tuple(shape[:2])}"
        )
    if min(tile) < 1 or int(np.prod(tile, dtype=object)) * itemsize > LARGEST_TILE:
        raise ValueError(
            f"{path}: tiles: expected at most {LARGEST_TILE // 2**20} MiB each, got {tuple(tile)}"
        )


def with_overview(levels: Sequence[Any], path: Path) -> tuple[Any, ...]:
    """The levels, with a coarser one made from the last if that is too large to be shown whole.

    A viewer reads the coarsest level whole. Raises ValueError if the last level exceeds
    ``LARGEST_FLAT``.
    """
    found = list(levels)
    size = found[-1].nbytes
    if size > LARGEST_FLAT:
        height, width = found[-1].shape[:2]
        raise ValueError(
            f"{path}: its smallest level has {height} x {width} pixels ({size / 2**30:.1f} GiB): "
            "expected a pyramid; make one, for example by: vips tiffsave IN OUT --tile --pyramid"
        )
    factor = 1
    while size > SMALL * factor**2:
        factor *= 2
    if factor > 1:
        coarse = dask_array(path).coarsen(
            np.mean, found[-1], {0: factor, 1: factor}, trim_excess=True
        )
        found.append(coarse.round().astype(found[-1].dtype).compute())
    return tuple(found)


def downsampling(level: Sequence[int], first: Sequence[int]) -> tuple[float, float]:
    """Pixels of the first level per pixel of another, along rows and columns, from their shapes.

    It is a whole number if a writer that cuts off or fills up the last pixel would get these shapes.
    """
    factors = [n / m for n, m in zip(first[:2], level[:2], strict=True)]
    whole = round(sum(factors) / 2)
    fits = (
        all(m in (n // whole, -(-n // whole)) for n, m in zip(first[:2], level[:2], strict=True))
        if whole
        else False
    )
    return (float(whole), float(whole)) if fits else (factors[0], factors[1])


def read_region(
    levels: Sequence[Any],
    origin: tuple[float, float],
    step: float,
    shape: tuple[int, int],
) -> npt.NDArray[np.uint8]:
    """A slide resampled to a canvas, uint8 RGB (H, W, 3); white where the slide does not reach.

    ``origin`` is the centre of the canvas' pixel (0, 0) and ``step`` the side of a canvas pixel, both in
    pixels of the first level. The needed part of one level is read: the coarsest that is no coarser than
    the canvas. Whole pixel areas are averaged; a canvas finer than the first level is interpolated
    linearly.
    """
    first = levels[0].shape
    factors = [downsampling(level.shape, first) for level in levels]
    fitting = [i for i, f in enumerate(factors) if max(f) <= step * 1.001]
    index = max(fitting, key=lambda i: max(factors[i]), default=0)
    level = levels[index]
    axes = []
    for axis in (0, 1):
        s = factors[index][axis]
        axes.append(
            _weights((origin[axis] - (s - 1) / 2) / s, step / s, shape[axis], level.shape[axis])
        )
    (rows, y0, y1), (columns, x0, x1) = axes
    canvas = np.full((*shape, 3), 255.0)
    if y1 > y0 and x1 > x0:
        window = np.asarray(level[y0:y1, x0:x1], np.float64)
        if window.ndim == 2:
            window = window[..., None]
        for channel in range(3):
            part = window[..., min(channel, window.shape[2] - 1)]
            covered = np.outer(rows.sum(1), columns.sum(1))
            canvas[..., channel] = (rows @ part) @ columns.T + (1 - covered) * 255
    return canvas.round().clip(0, 255).astype(np.uint8)


def _weights(start: float, step: float, count: int, size: int) -> tuple[sparse.csr_array, int, int]:
    """Weights (count, b - a) that resample an axis of ``size`` pixels to ``count``, and ``a``, ``b``.

    Only pixels ``a`` to ``b`` have weight. ``start`` is the centre of the first resampled pixel and
    ``step`` their spacing, in pixels of the axis. A row adds up to the part of its pixel that the axis
    covers.
    """
    centres = start + step * np.arange(count)
    reach = max(step, 1.0) / 2 if step >= 1 else 1.0
    low = np.floor(centres - reach + 0.5).astype(np.int64)
    taps = int(np.ceil(2 * reach)) + 2
    at = low[:, None] + np.arange(-1, taps)[None]
    away = at - centres[:, None]
    if step >= 1:  # by the overlap of the two pixels' areas
        overlap = np.minimum(away + 0.5, step / 2) - np.maximum(away - 0.5, -step / 2)
        weight = overlap.clip(0) / step
        inside = (at >= 0) & (at < size)
        clamped = at
    else:
        weight = (1 - np.abs(away)).clip(0)
        # The outer half of a border pixel has no further neighbour to interpolate with.
        inside = ((centres >= -0.5) & (centres < size - 0.5))[:, None] & (weight > 0)
        clamped = at.clip(0, size - 1)
    used = inside & (weight > 1e-12)
    if not used.any():
        return sparse.csr_array((count, 0)), 0, 0
    first, last = int(clamped[used].min()), int(clamped[used].max()) + 1
    row = np.broadcast_to(np.arange(count)[:, None], at.shape)[used]
    matrix = sparse.csr_array(
        (weight[used], (row, clamped[used] - first)), shape=(count, last - first)
    )
    return matrix, first, last
