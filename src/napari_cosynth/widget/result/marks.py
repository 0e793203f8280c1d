"""Marks of the quality table's nuclei in the viewer: a box around the current one, red for marked."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils import DirectLabelColormap

from napari_cosynth.widget.layers.frame import hide_box, show_box
from napari_cosynth.widget.layers.results import instance_colors
from napari_cosynth.widget.result.nuclei import NucleusTable

BOX = "cosynth nucleus"
MARKED = np.array([1.0, 0.0, 0.0, 1.0])
LEAST_SIDE = 10.0
"""Least side of the box in pixels: a missed point has no extent, and a line over a nucleus hides it."""


class Marks:
    """Box and colours of one result's nuclei at a time."""

    def __init__(self) -> None:
        self._boxed: Labels | None = None
        self._reddened: Labels | None = None

    def show_current(self, layer: Labels | None, table: NucleusTable | None, id_: int) -> None:
        """Draws the box around a nucleus, or a missed point, of the instances in ``layer``.

        Removes the box from any other layer.
        """
        if self._boxed is not None and self._boxed is not layer:
            hide_box(self._boxed, BOX)
        self._boxed = layer
        if layer is None or table is None:
            return
        row = table.row_of(id_)
        if row is None or layer.ndim != 2:
            hide_box(layer, BOX)
            return
        half = float(np.fmax(1.6 * table.extent[row], LEAST_SIDE)) / 2
        show_box(layer, BOX, table.centroids[row] - half, table.centroids[row] + half)

    def show_marked(
        self, layer: Labels | None, table: NucleusTable | None, marked: Collection[int]
    ) -> None:
        """Colours a single sample's marked instances red, the others by class.

        A layer that was never marked keeps its colours.
        """
        # In a stack ids repeat in each sample, so an id has no colour of its own.
        if layer is None or table is None or layer.ndim != 2:
            return
        if not marked and layer is not self._reddened:
            return
        class_ids = np.zeros(int(table.ids.max(initial=0)), np.int64)
        class_ids[table.ids - 1] = table.class_ids
        colors: dict[int | None, Any] = dict(instance_colors(class_ids, table.classes).color_dict)
        colors.update(dict.fromkeys(marked, MARKED))
        layer.colormap = DirectLabelColormap(color_dict=colors)
        self._reddened = layer if marked else None
