"""An image of any size with regions of it replaced, as a pyramidal OME-TIFF; all else bit for bit."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.geometry.box import Box
from napari_cosynth.io.atomic import replaced_file

TILE = 256
"""Pixels a side of the written tiles."""
COARSEST = 1024
"""Pixels of the longer side down to which levels are made."""
LARGEST_CLASSIC = 2**31
"""Bytes of pixels above which the file is a BigTIFF."""


@dataclass(frozen=True)
class Patch:
    """What takes the place of a region."""

    region: Box
    """In the image's pixels."""
    pixels: npt.NDArray[np.uint8]
    """RGB, uint8, of the region's shape (h, w, 3)."""

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.shape != (*self.region.shape, 3):
            raise ValueError(
                f"patch: expected uint8 {(*self.region.shape, 3)}, got {self.pixels.dtype} "
                f"{self.pixels.shape}"
            )


def write_with_patches(
    path: Path,
    level: Any,
    patches: Sequence[Patch],
    mpp: float,
    advanced: Callable[[float], None] = lambda _: None,
) -> None:
    """Writes an image with its patches, whole or not at all.

    ``level``: array-like (H, W, 3 or 4), uint8, of which a row of tiles is read at a time; a fourth
    channel is left out. ``mpp``: µm/px. Lossless; each further level has half the pixels, by means of
    2 x 2. ``advanced`` is told the share of the rows that was read, 0..1, and may raise to stop.
    Raises ValueError where patches overlap or reach beyond the image.
    """
    _check(patches, (int(level.shape[0]), int(level.shape[1])))
    with replaced_file(path) as fresh:
        _write(fresh, level, patches, mpp, advanced)


def _check(patches: Sequence[Patch], shape: tuple[int, int]) -> None:
    for i, patch in enumerate(patches):
        box = patch.region
        if box.clipped(shape) != box:
            raise ValueError(
                f"patch: expected a part of {shape[0]} x {shape[1]} pixels, got rows {box.y0} to "
                f"{box.y1} and columns {box.x0} to {box.x1}"
            )
        for other in (p.region for p in patches[:i]):
            if box.overlaps(other):
                raise ValueError(
                    f"patches overlap: rows {box.y0} to {box.y1}, columns {box.x0} to {box.x1} and "
                    f"rows {other.y0} to {other.y1}, columns {other.x0} to {other.x1}"
                )


def _write(
    path: Path,
    level: Any,
    patches: Sequence[Patch],
    mpp: float,
    advanced: Callable[[float], None],
) -> None:
    from tifffile import TiffWriter

    shape = (int(level.shape[0]), int(level.shape[1]))
    further = 0
    while max(shape) >> further > COARSEST and min(shape) >> (further + 1) > 0:
        further += 1
    size = {"PhysicalSizeX": mpp, "PhysicalSizeY": mpp}
    units = {f"{key}Unit": "µm" for key in size}
    with TiffWriter(path, ome=True, bigtiff=shape[0] * shape[1] * 3 > LARGEST_CLASSIC) as tif:
        for number in range(further + 1):
            half = _Half(shape, path.parent) if number < further else None
            rows = _bands(level, patches if number == 0 else (), half)
            first: dict[str, Any] = {
                "subifds": further,
                "metadata": {"axes": "YXS", **size, **units},
            }
            tif.write(
                _tiles(rows, shape[0], advanced if number == 0 else lambda _: None),
                shape=(*shape, 3),
                dtype=np.uint8,
                tile=(TILE, TILE),
                photometric="rgb",
                compression="zlib",
                resolution=(1e4 / mpp / 2**number,) * 2,
                resolutionunit="CENTIMETER",
                **(first if number == 0 else {"subfiletype": 1, "metadata": None}),
            )
            if half is not None:
                level, shape = half.pixels, (half.pixels.shape[0], half.pixels.shape[1])


class _Half:
    """The next level while it is made: on the disk, in a file without a name."""

    def __init__(self, shape: tuple[int, int], folder: Path) -> None:
        file: Any = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        size = (shape[0] // 2, shape[1] // 2, 3)
        self.pixels: npt.NDArray[np.uint8] = np.memmap(file, np.uint8, "w+", shape=size)

    def take(self, y: int, band: npt.NDArray[np.uint8]) -> None:
        """Rows of the level before, from an even row ``y`` on; an odd last one is left out."""
        height, width = band.shape[0] // 2, self.pixels.shape[1]
        four = band[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3)
        sums = four.sum((1, 3), dtype=np.uint16)
        self.pixels[y // 2 : y // 2 + height] = (sums + 2) >> 2


def _bands(
    level: Any, patches: Sequence[Patch], half: _Half | None
) -> Iterator[npt.NDArray[np.uint8]]:
    """Rows of tiles from above, patches in their places."""
    for y in range(0, level.shape[0], TILE):
        band = np.array(level[y : y + TILE][..., :3])
        for box, new in ((p.region, p.pixels) for p in patches):
            top, bottom = max(y, box.y0), min(y + TILE, box.y1)
            if top < bottom:
                band[top - y : bottom - y, box.x0 : box.x1] = new[top - box.y0 : bottom - box.y0]
        if half is not None:
            half.take(y, band)
        yield band


def _tiles(
    bands: Iterator[npt.NDArray[np.uint8]], height: int, advanced: Callable[[float], None]
) -> Iterator[npt.NDArray[np.uint8]]:
    for number, band in enumerate(bands):
        advanced(min(1.0, (number + 1) * TILE / height))
        for x in range(0, band.shape[1], TILE):
            tile = np.zeros((TILE, TILE, 3), np.uint8)
            part = band[:, x : x + TILE]
            tile[: part.shape[0], : part.shape[1]] = part
            yield tile
