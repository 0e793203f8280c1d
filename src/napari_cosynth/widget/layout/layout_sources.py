"""The dock's buttons for a layout of what is there: of a region, a Labels layer, or real nuclei."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt
from magicgui.widgets import PushButton
from napari.components import ViewerModel
from napari.layers import Points
from qtpy.QtWidgets import QSizePolicy

from napari_cosynth.types import Layout
from napari_cosynth.widget.layers.placement import Placement
from napari_cosynth.widget.layers.region import (
    chosen_labels,
    chosen_region,
    layout_of_labels,
    put_away_region,
    region_placement,
)
from napari_cosynth.widget.layers.shapes import NAME, Region
from napari_cosynth.widget.layout.nuclei_row import NucleiRow
from napari_cosynth.widget.qt.errors import told
from napari_cosynth.widget.qt.questions import ask_class, ask_mpp
from napari_cosynth.widget.run.facts import CheckpointFacts
from napari_cosynth.widget.run.into_image import remember_shown


class AddLayout(Protocol):
    """Adds a layout layer at a placement; without a layout, an empty one.

    ``outline``: polygon that the layout covers, in canvas pixels, (N, 2); None: the whole canvas.
    """

    def __call__(
        self,
        placement: Placement,
        layout: Layout | None = None,
        name: str = "layout",
        outline: npt.NDArray[np.float64] | None = None,
    ) -> Points: ...


class LayoutSources:
    """Five buttons for the form's line *From*. Each makes a layout and adds it by ``add_layout``."""

    def __init__(
        self,
        viewer: ViewerModel,
        require_facts: Callable[[], CheckpointFacts],
        add_layout: AddLayout,
    ) -> None:
        self.viewer = viewer
        self._require_facts, self._add_layout = require_facts, add_layout
        self.from_region = PushButton(text="Region")
        self.from_labels = PushButton(text="Labels")
        self.nuclei = NucleiRow(
            viewer,
            require_facts,
            self.add_real,
            lambda name: ask_mpp(name),
            lambda names: ask_class(names),
        )
        self.buttons = [self.from_region, self.from_labels, *self.nuclei.buttons]
        self.from_region.tooltip = (
            "A layout over the rectangle or polygon of a Shapes layer, at the model's µm/px"
        )
        self.from_labels.tooltip = "Points at the centroids of a Labels layer's objects"
        for button in self.buttons:  # five in a row of a narrow dock: as wide as their words
            words = button.native.fontMetrics().horizontalAdvance(button.text)
            button.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            button.native.setMinimumWidth(words + 12)
        self.from_region.changed.connect(told(self.layout_from_region))
        self.from_labels.changed.connect(told(self.layout_from_labels))

    def close(self) -> None:
        """Drops the running work, because the dock is being destroyed."""
        self.nuclei.close()

    def layout_from_region(self) -> None:
        """Adds a layout over the chosen rectangle or polygon, at the model's µm/px, with its name."""
        region = chosen_region(self.viewer)
        found = region_placement(self.viewer, region, self._require_facts().mpp, ask_mpp)
        if found is not None:
            put_away_region(self.viewer)
            self.add_region(region, found[1])

    def add_region(
        self, region: Region, placement: Placement, layout: Layout | None = None, real: bool = False
    ) -> Points:
        """Adds a region's layout, on the canvas over the region's bounding box.

        ``real``: the layout's nuclei are those in the image under it.
        """
        outline = None if region.upright else region.outline_on(placement)
        name = region.name if NAME in region.layer.features else "layout"
        if real and layout is not None:
            return self.add_real(placement, layout, name, outline)
        return self._add_layout(placement, layout, name, outline)

    def layout_from_labels(self) -> None:
        """Adds a layout with a point at each object of a Labels layer."""
        facts = self._require_facts()
        labels = chosen_labels(self.viewer)
        made = layout_of_labels(labels, facts.classes, facts.mpp, ask_mpp, ask_class)
        if made is not None:
            layout, placement = made
            self.add_real(placement, layout)

    def add_real(
        self,
        placement: Placement,
        layout: Layout,
        name: str = "layout",
        outline: npt.NDArray[np.float64] | None = None,
    ) -> Points:
        """Adds a layout whose nuclei are those in the image under it."""
        layer = self._add_layout(placement, layout, name, outline)
        remember_shown(layer, layout)
        return layer
