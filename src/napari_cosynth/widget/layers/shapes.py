"""Regions of a slide as they are drawn: the rectangles and polygons of a Shapes layer, with names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Layer, Shapes

from napari_cosynth.widget.layers.placement import Placement, micrometres, require_plain, unit_of

NAME = "name"
"""The column of a Shapes layer's features that holds the names."""
KINDS = ("rectangle", "polygon")


@dataclass(frozen=True)
class Region:
    """One shape."""

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
        """Whether it is its own bounding box."""
        low, high = self.corners
        on_border = np.isclose(self.outline, low) | np.isclose(self.outline, high)
        return self.layer.shape_type[self.row] == "rectangle" and bool(on_border.all())

    def outline_on(self, canvas: Placement) -> npt.NDArray[np.float64]:
        """Its corners in pixels of a canvas, (N, 2)."""
        factor = unit_factor(unit_of(self.layer), canvas.unit)
        inside = (self.outline * factor - np.array(canvas.origin)) / canvas.scale
        return np.asarray(inside, np.float64)


def unit_factor(one: str, other: str) -> float:
    """World units called ``other`` in one called ``one``."""
    return 1.0 if one == other else micrometres(one) / micrometres(other)


def chosen_shape(viewer: ViewerModel) -> tuple[Shapes, int] | None:
    """The selected shape of the active Shapes layer, or else the last one drawn; None without any."""
    layer = shapes_layer(viewer)
    if layer is None or not layer.nshapes:
        return None
    return layer, max(layer.selected_data) if layer.selected_data else layer.nshapes - 1


def shapes_layer(viewer: ViewerModel) -> Shapes | None:
    """The active Shapes layer, or else the topmost one; one without a shape only where all are."""
    active = viewer.layers.selection.active
    found = [x for x in reversed(viewer.layers) if isinstance(x, Shapes)]
    if isinstance(active, Shapes):
        found.insert(0, active)
    return next((x for x in found if x.nshapes), found[0] if found else None)


def region_of(layer: Shapes, row: int) -> Region:
    """One shape as a region. Raises ValueError where it is neither a rectangle nor a polygon."""
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
    """A shape's name, of the layer's features, or its number where it has none."""
    names = layer.features.get(NAME)
    found = "" if names is None or row >= len(names) else names.iloc[row]
    text = found.strip() if isinstance(found, str) else ""
    return text or f"region {row + 1}"


def set_name(layer: Shapes, row: int, name: str) -> None:
    """Names a shape, and shows the names of all beside them."""
    features = layer.features.copy()
    names = [name_of(layer, i) for i in range(layer.nshapes)]
    names[row] = name.strip() or names[row]
    features[NAME] = names
    layer.features = features
    layer.feature_defaults = {NAME: ""}
    layer.text = {"string": "{" + NAME + "}", "size": 10, "color": "blue", "anchor": "upper_left"}


def put_away(layer: Shapes, row: int) -> None:
    """Makes a shape that has become a canvas a mere line: filled, it would lie over what is made there.

    The only one of a layer, if the canvas' own frame shows the same, is hidden with it.
    """
    if layer.nshapes == 1 and region_of(layer, row).upright:
        layer.visible = False
        return
    colors = np.array(layer.face_color)
    colors[row] = 0
    layer.face_color = colors


def factor_between(source: Layer, target: Layer) -> float:
    """World units of ``target`` in one of ``source``."""
    return unit_factor(unit_of(source), unit_of(target))
