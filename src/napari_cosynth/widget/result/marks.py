"""The quality table's nuclei in the viewer: a box around the current one, the marked ones in red."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.components.overlays import SelectionBoxOverlay
from napari.layers import Labels
from napari.utils import DirectLabelColormap

from napari_cosynth.widget.layers.results import instance_colors
from napari_cosynth.widget.result.nuclei import NucleusTable

BOX = "cosynth nucleus"
MARKED = np.array([1.0, 0.0, 0.0, 1.0])
LEAST_SIDE = 10.0
"""Pixels: a missed point has no extent, and a line over a nucleus would hide it."""


def show_current(layer: Labels, centre: npt.NDArray[np.float64] | None, extent: float) -> None:
    """A box around (y, x), or none; ``extent`` is about the nucleus' diameter in pixels, or NaN."""
    overlays = getattr(layer, "__wrapped__", layer)._overlays
    if centre is None:
        overlays.pop(BOX, None)
        return
    half = float(np.fmax(1.6 * extent, LEAST_SIDE)) / 2
    low, high = centre - half, centre + half
    overlays[BOX] = SelectionBoxOverlay(
        bounds=((low[0], low[1]), (high[0], high[1])), handles=False, visible=True
    )


def show_marked(layer: Labels, table: NucleusTable, marked: Collection[int]) -> None:
    """Colours one sample's instances by class, the marked ones red."""
    class_ids = np.zeros(int(table.ids.max(initial=0)), np.int64)
    class_ids[table.ids - 1] = table.class_ids
    colors: dict[int | None, Any] = dict(instance_colors(class_ids, table.classes).color_dict)
    colors.update(dict.fromkeys(marked, MARKED))
    layer.colormap = DirectLabelColormap(color_dict=colors)
