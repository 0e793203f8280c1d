"""Placement of a canvas in the viewer's world: napari's scale, translate and units.

A canvas has the model's µm/px. Its layers share the unit of the layers they lie on, because napari
does not render a mixture of units. Their pixel *corners* meet the region's corners: the centre of pixel
0 lies half a canvas pixel inside (method, section 1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pint
from napari.layers import Layer

PIXEL = "pixel"
MICROMETRE = "micrometer"
LARGEST_SIDE = 8192
"""Longest side of a canvas in pixels; a larger result would not fit in an ordinary machine's memory."""


@dataclass(frozen=True)
class Placement:
    """A canvas of ``shape`` at ``mpp``, and its place in the world."""

    shape: tuple[int, int]
    """(H, W) in canvas pixels."""
    mpp: float
    """Micrometres per canvas pixel."""
    scale: float
    """World units per canvas pixel, in both directions."""
    origin: tuple[float, float] = (0.0, 0.0)
    """World (y, x) of the centre of pixel (0, 0)."""
    unit: str = MICROMETRE

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or max(self.shape) > LARGEST_SIDE:
            raise ValueError(
                f"a canvas of {self.shape[0]} x {self.shape[1]} pixels at {self.mpp:g} µm/px: "
                f"expected 1 to {LARGEST_SIDE} a side"
            )

    @property
    def layer_kwargs(self) -> dict[str, Any]:
        """Keyword arguments for napari's ``add_*``: scale, translate and units."""
        return {
            "scale": (self.scale, self.scale),
            "translate": self.origin,
            "units": (self.unit, self.unit),
        }

    @property
    def corners(self) -> npt.NDArray[np.float64]:
        """The canvas' outline in its own pixels, float64 (4, 2)."""
        h, w = self.shape
        return np.array([(0, 0), (0, w), (h, w), (h, 0)], np.float64) - 0.5

    @property
    def world(self) -> npt.NDArray[np.float64]:
        """The canvas' upper left and lower right corner in the world, float64 (2, 2)."""
        return self.corners[[0, 2]] * self.scale + np.array(self.origin)

    def at_mpp(self, mpp: float, shape: tuple[int, int]) -> Placement:
        """The same region on a grid of ``mpp``; its corners stay, its pixel centres move."""
        if shape == self.shape and np.isclose(mpp, self.mpp, rtol=1e-6):
            return self
        scale = self.scale * self.shape[0] / shape[0]
        origin = (
            self.origin[0] + (scale - self.scale) / 2,
            self.origin[1] + (scale - self.scale) / 2,
        )
        return Placement(shape, mpp, scale, origin, self.unit)

    def inside(self, points: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Mask of the points (N, 2) in canvas pixels that lie on the canvas, bool (N,)."""
        inside = (points >= -0.5) & (points < np.array(self.shape) - 0.5)
        return np.asarray(inside.all(1))


def placed_on(
    corners: npt.NDArray[np.float64], slide: Layer, slide_mpp: float, mpp: float
) -> Placement:
    """The canvas at ``mpp`` that covers a region of the world, over a slide of ``slide_mpp``.

    ``corners``: world (y, x) of the region's two opposite corners, float64 (2, 2), in the slide's
    units. The canvas is rounded to whole pixels; its upper left corner is the region's.
    """
    scale = world_scale(slide) * mpp / slide_mpp
    top_left = corners.min(0)
    extent = corners.max(0) - top_left
    shape = (max(1, round(extent[0] / scale)), max(1, round(extent[1] / scale)))
    origin = top_left + scale / 2
    return Placement(shape, mpp, scale, (float(origin[0]), float(origin[1])), unit_of(slide))


def free_placement(shape: tuple[int, int], mpp: float, layers: Iterable[Layer]) -> Placement:
    """A canvas at the world's origin, in the units that the viewer's layers already have."""
    for layer in layers:
        unit = unit_of(layer)
        if unit == PIXEL:
            return Placement(shape, mpp, 1.0, unit=PIXEL)
        scale = mpp / micrometres(unit)
        return Placement(shape, mpp, scale, unit=unit)
    return Placement(shape, mpp, mpp)


def placement_of(layer: Layer, shape: tuple[int, int], mpp: float) -> Placement:
    """The placement of a canvas whose pixels are ``layer``'s data coordinates."""
    require_plain(layer)
    y, x = layer.translate[-2:]
    return Placement(shape, mpp, world_scale(layer), (float(y), float(x)), unit_of(layer))


def unit_of(layer: Layer) -> str:
    """The unit of a layer's last axis, as napari names it."""
    return str(layer.units[-1])


def micrometres(unit: str) -> float:
    """Micrometres in one ``unit``. Raises ValueError if it is no length."""
    try:
        registry = pint.get_application_registry()
        return float(registry.Quantity(1.0, unit).to("micrometer").magnitude)
    except (pint.errors.DimensionalityError, pint.errors.UndefinedUnitError):
        raise ValueError(f"units: expected a length, got {unit!r}") from None


def world_scale(layer: Layer) -> float:
    """World units per data pixel. Raises ValueError if rows and columns differ by over 1 %."""
    y, x = (float(v) for v in layer.scale[-2:])
    if not np.isclose(y, x, rtol=0.01):
        raise ValueError(f"{layer.name}: expected square pixels, got a scale of ({y:g}, {x:g})")
    return x


def require_plain(layer: Layer) -> None:
    """Raises ValueError if a layer is rotated, sheared or has an affine of its own."""
    turned = layer.ndim >= 2 and (
        not np.allclose(np.asarray(layer.rotate), np.eye(layer.ndim))
        or not np.allclose(layer.shear, 0)
        or not np.allclose(layer.affine.affine_matrix, np.eye(layer.ndim + 1))
    )
    if turned:
        raise ValueError(f"{layer.name}: a rotated, sheared or affine layer cannot hold a canvas")


def mpp_of(layer: Layer) -> float | None:
    """Micrometres per pixel of a layer's data; None if it is not known.

    Comes from the layer's scale if its units are a length, else from ``metadata["mpp"]`` or the plugin's
    tag.
    """
    unit = unit_of(layer)
    if unit != PIXEL:
        return world_scale(layer) * micrometres(unit)
    for table in (layer.metadata, layer.metadata.get("cosynth", {})):
        value = table.get("mpp") if isinstance(table, dict) else None
        if isinstance(value, (int, float)) and np.isfinite(value) and value > 0:
            return float(value)
    return None
