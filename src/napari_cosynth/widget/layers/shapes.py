"""Drawn regions of a slide: the rectangles and polygons of a Shapes layer, with names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Layer, Shapes

from napari_cosynth.widget.layers.placement import Placement, micrometres, require_plain, unit_of

NAME = "name"
"""Column of a Shapes layer's features with the names."""
KINDS = ("rectangle", "polygon")


@dataclass(frozen=True)
class Region:
    """A rectangle or polygon of a Shapes layer, with its name and its corners in the world."""

    layer: Shapes
    row: int
    name: str
    outline: npt.NDArray[np.float64]
    """World (y, x) of its corners, (N, 2), in the layer's units."""

    @property
    def corners(self) -> npt.NDArray[np.float64]:
        """World (y, x) of two opposite corners of its bounding box, (2, 2)."""
        return np.stack([self.outline.min(0), self.outline.max(0)])

    @property
    def upright(self) -> bool:
        """Whether the region is a rectangle parallel to the axes."""
        low, high = self.corners
        on_border = np.isclose(self.outline, low) | np.isclose(self.outline, high)
        return self.layer.shape_type[self.row] == "rectangle" and bool(on_border.all())

    def outline_on(self, canvas: Placement) -> npt.NDArray[np.float64]:
        """Its corners in pixels of a canvas, (N, 2)."""
        factor = unit_factor(unit_of(self.layer), canvas.unit)
        inside = (self.outline * factor - np.array(canvas.origin)) / canvas.scale
        return np.asarray(inside, np.float64)


def unit_factor(one: str, other: str) -> float:
    """Number of units ``other`` in one unit ``one``."""
    return 1.0 if one == other else micrometres(one) / micrometres(other)


def chosen_shape(viewer: ViewerModel) -> tuple[Shapes, int] | None:
    """Layer and row of the selected shape, or else of the last one drawn; None if there is no shape.

    The layer is :func:`shapes_layer`.
    """
    layer = shapes_layer(viewer)
    if layer is None or not layer.nshapes:
        return None
    return layer, max(layer.selected_data) if layer.selected_data else layer.nshapes - 1


def shapes_layer(viewer: ViewerModel) -> Shapes | None:
    """The active Shapes layer, or else the topmost; layers with shapes go before empty ones."""
    active = viewer.layers.selection.active
    found = [x for x in reversed(viewer.layers) if isinstance(x, Shapes)]
    if isinstance(active, Shapes):
        found.insert(0, active)
    return next((x for x in found if x.nshapes), found[0] if found else None)


def region_of(layer: Shapes, row: int) -> Region:
    """One shape as a region. Raises ValueError if it is neither a rectangle nor a polygon."""
    require_plain(layer)
    kind = layer.shape_type[row]
    if kind not in KINDS:
        raise ValueError(f"{layer.name}: expected a rectangle or a polygon, got {kind} {row}")
    scale, translate = np.asarray(layer.scale)[-2:], np.asarray(layer.translate)[-2:]
    outline = np.asarray(layer.data[row], np.float64)[:, -2:] * scale + translate
    return Region(layer, row, name_of(layer, row), outline)


def regions_in(layer: Shapes) -> list[Region]:
    """All rectangles and polygons of a layer, in their order."""
    rows = [row for row, kind in enumerate(layer.shape_type) if kind in KINDS]
    return [region_of(layer, row) for row in rows]


def name_of(layer: Shapes, row: int) -> str:
    """A shape's name in the layer's features, or "region" and its number if it has none."""
    names = layer.features.get(NAME)
    found = "" if names is None or row >= len(names) else names.iloc[row]
    text = found.strip() if isinstance(found, str) else ""
    return text or f"region {row + 1}"


def set_name(layer: Shapes, row: int, name: str) -> None:
    """Names a shape, and shows the names beside all shapes of the layer."""
    features = layer.features.copy()
    names = [name_of(layer, i) for i in range(layer.nshapes)]
    names[row] = name.strip() or names[row]
    features[NAME] = names
    layer.features = features
    layer.feature_defaults = {NAME: ""}
    layer.text = {"string": "{" + NAME + "}", "size": 12, "color": "black", "anchor": "upper_left"}


def put_away(layer: Shapes, row: int) -> None:
    """Removes the filling of a shape that has become a canvas: it would cover the layers made there.

    If it is the layer's only shape and the canvas' frame shows the same outline, the layer is hidden.
    """
    if layer.nshapes == 1 and region_of(layer, row).upright:
        layer.visible = False
        return
    colors = np.array(layer.face_color)
    colors[row] = 0
    layer.face_color = colors


def factor_between(source: Layer, target: Layer) -> float:
    """Number of ``target``'s world units in one of ``source``'s."""
    return unit_factor(unit_of(source), unit_of(target))
