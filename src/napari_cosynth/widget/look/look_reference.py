"""References of a look: the image under a canvas, an image layer, or a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Image, Layer, Points, Shapes

from napari_cosynth.slides.pyramid import read_region
from napari_cosynth.slides.slide import open_image
from napari_cosynth.widget.layers.layout import placement_from
from napari_cosynth.widget.layers.region import image_under, rectangle, sampling_of
from napari_cosynth.widget.layers.shapes import factor_between
from napari_cosynth.widget.look.reference import pixels_inside

LARGEST, SMALLEST = 2048, 16
"""Longest and shortest side of a reference, in pixels of the model's grid."""
_PICTURE = 512
"""Pixels of a file's picture along its longer side; at most twice as many."""

Ask = Callable[..., Any]
"""A question to the sampling process: :meth:`napari_cosynth.widget.run.backend.Backend.ask`."""
Measured = tuple[tuple[float, ...], str]
"""A look in numbers, and its reference in words: ``Request.look`` and ``Request.look_of``."""


class Reference(Protocol):
    """Reference of a look. Two are equal if they have the same pixels."""

    def read(self) -> npt.NDArray[np.uint8]:
        """The picture, uint8 (H, W, 3); may take long, so not for the GUI thread."""
        ...

    def measure(self, pixels: npt.NDArray[np.uint8], ask: Ask) -> Measured:
        """The look of the pixels that :meth:`read` returned; not for the GUI thread."""
        ...


@dataclass(frozen=True)
class LayerReference:
    """A part of an image layer, on the model's grid."""

    words: str
    origin: tuple[float, float]
    """(y, x) of the centre of the reference's first pixel, in the layer's pixels."""
    step: float
    """Side of one of the reference's pixels, in the layer's pixels."""
    shape: tuple[int, int]
    levels: tuple[Any, ...] = field(compare=False)
    arrays: tuple[int, ...]
    """``id`` of each level's array; unique while ``levels`` holds the arrays."""

    def read(self) -> npt.NDArray[np.uint8]:
        return read_region(self.levels, self.origin, self.step, self.shape)

    def measure(self, pixels: npt.NDArray[np.uint8], ask: Ask) -> Measured:
        return ask("look of", pixels), self.words


@dataclass(frozen=True)
class FileReference:
    """An image file, as for the shell's ``--look``."""

    path: Path
    mpp: float
    """µm/px of the file."""
    own_mpp: float
    """µm/px of the model."""

    def read(self) -> npt.NDArray[np.uint8]:
        level = open_image(self.path).levels[-1]
        step = max(1, max(level.shape[:2]) // _PICTURE)
        pixels = np.asarray(level[::step, ::step])
        return pixels[..., :3] if pixels.ndim == 3 else np.stack([pixels] * 3, -1)

    def measure(self, pixels: npt.NDArray[np.uint8], ask: Ask) -> Measured:
        numbers, words = ask("look from", str(self.path), self.own_mpp, self.mpp)
        return tuple(numbers), words


def below(viewer: ViewerModel, points: Points, mpp: float) -> LayerReference:
    """The part of the topmost image under a layout's canvas, on a grid of ``mpp`` µm/px.

    It is cropped to the middle ``LARGEST`` pixels a side. Raises ValueError if there is no image to
    follow.
    """
    canvas = placement_from(points)
    layer = image_under(viewer, points, canvas.world)
    factor = canvas.mpp / mpp
    height, width = (max(1, round(n * factor)) for n in canvas.shape)
    placement = canvas.at_mpp(mpp, (height, width))
    unit = factor_between(points, layer)
    y, x = placement.origin
    placement = replace(placement, scale=placement.scale * unit, origin=(y * unit, x * unit))
    levels = _levels(layer)
    origin, step = sampling_of(layer, placement)
    parts = [
        _inside(start, step, count, size)
        for start, count, size in zip(origin, placement.shape, levels[0].shape[:2], strict=True)
    ]
    return _reference(
        layer,
        levels,
        (origin[0] + parts[0][0] * step, origin[1] + parts[1][0] * step),
        step,
        (parts[0][1] - parts[0][0], parts[1][1] - parts[1][0]),
    )


def chosen_box(viewer: ViewerModel, layer: Image) -> tuple[int, int, int, int]:
    """Box of a layer under the chosen rectangle; the whole layer if the rectangle is not over it.

    The box is the first and the last + 1 row and column, (y0, x0, y1, x1), in the layer's pixels.
    """
    first = layer.data[0] if layer.multiscale else layer.data
    if any(isinstance(x, Shapes) and x.nshapes for x in viewer.layers):
        shapes, corners = rectangle(viewer)
        low, high = pixels_inside(layer, corners * factor_between(shapes, layer))
        if (high > low).all():
            return int(low[0]), int(low[1]), int(high[0]), int(high[1])
    return 0, 0, int(first.shape[0]), int(first.shape[1])


def of_layer(
    layer: Layer, box: tuple[int, int, int, int], layer_mpp: float, mpp: float
) -> LayerReference:
    """A box of a layer of ``layer_mpp`` on a grid of ``mpp``.

    Raises ValueError if the layer is no 8-bit RGB image, or the box is too large or too small.
    """
    y0, x0, y1, x1 = box
    step = mpp / layer_mpp
    shape = (round((y1 - y0) / step), round((x1 - x0) / step))
    if max(shape) > LARGEST:
        raise ValueError(too_large(layer.name, shape, mpp))
    origin = (y0 + (step - 1) / 2, x0 + (step - 1) / 2)
    return _reference(layer, _levels(layer), origin, step, shape)


def file_facts(path: Path) -> tuple[tuple[int, int], float | None]:
    """(H, W) and µm/px of an image file, None if the file has none. Raises ValueError naming the file."""
    image = open_image(path)
    height, width = image.levels[0].shape[:2]
    return (int(height), int(width)), image.mpp


def too_large(name: str, shape: tuple[int, int], mpp: float) -> str:
    """Error text for a reference that is too large."""
    return (
        f"{name}: {shape[0]} x {shape[1]} pixels at {mpp:g} µm/px are too many for a look: open it, "
        "draw a rectangle over the part to follow, and choose its layer"
    )


def _reference(
    layer: Layer,
    levels: tuple[Any, ...],
    origin: tuple[float, float],
    step: float,
    shape: tuple[int, int],
) -> LayerReference:
    if min(shape) < SMALLEST:
        raise ValueError(
            f"{layer.name}: expected at least {SMALLEST} x {SMALLEST} pixels on the model's grid, got "
            f"{max(0, shape[0])} x {max(0, shape[1])}"
        )
    y, x = (round(start - (step - 1) / 2) for start in origin)
    height, width = (round(n * step) for n in shape)
    words = f"{layer.name}, {y},{x},{height},{width}"
    return LayerReference(words, origin, step, shape, levels, tuple(map(id, levels)))


def _levels(layer: Layer) -> tuple[Any, ...]:
    levels = tuple(layer.data) if layer.multiscale else (layer.data,)
    rgb = isinstance(layer, Image) and layer.rgb and layer.ndim == 2
    if not rgb or levels[0].dtype != np.uint8:
        raise ValueError(f"{layer.name}: expected an 8-bit RGB image to follow the look of")
    return levels


def _inside(start: float, step: float, count: int, size: int) -> tuple[int, int]:
    """Range (first, last + 1) of the ``count`` pixels of side ``step`` that lie on an axis of ``size``.

    If they are more than ``LARGEST``, the middle ones.
    """
    low = max(0, int(np.ceil((step / 2 - 0.5 - start) / step - 1e-6)))
    high = min(count, int(np.floor((size - 0.5 - step / 2 - start) / step + 1e-6)) + 1)
    spare = max(0, high - low - LARGEST)
    return low + spare // 2, high - (spare - spare // 2)
