"""The layout dock's section for generated layouts: a layout model fills a region of the canvas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from magicgui.widgets import CheckBox, ComboBox, Label, PushButton, SpinBox
from napari.components import ViewerModel
from napari.layers import Points, Shapes
from napari.utils.notifications import show_info, show_warning
from qtpy.QtWidgets import QFileDialog, QWidget
from skimage.draw import polygon2mask

from napari_cosynth.known import layout_models
from napari_cosynth.layouts.gibbs.model import load_layout_model
from napari_cosynth.types import Layout
from napari_cosynth.widget.layers.layout import placement_from
from napari_cosynth.widget.layout.layout_controls import LayoutControls
from napari_cosynth.widget.qt.forms import column_in, form, side_by_side
from napari_cosynth.widget.run.background import Background
from napari_cosynth.widget.run.sampling_controls import LARGEST_SEED

BROWSE = "Other file…"
CANVAS, SHAPE = "whole canvas", "drawn shape"


class FillControls(QWidget):
    """Form that fills a region: a worker draws points, which replace the region's as one undo step."""

    def __init__(self, viewer: ViewerModel, layout: LayoutControls) -> None:
        super().__init__()
        self.viewer = viewer
        self._layout = layout
        self._work = Background("fill")
        names = list(layout_models())
        self._last = names[0] if names else BROWSE
        self.model = ComboBox(choices=[*names, BROWSE], label="Model")
        self.region = ComboBox(choices=[CANVAS, SHAPE], label="Region")
        self.seed = SpinBox(value=0, min=0, max=LARGEST_SEED, label="Seed")
        self.next_seed = CheckBox(value=True, text="new each time")
        self.fill = PushButton(text="Fill region")
        self.model.tooltip = "A model of where nuclei of each class lie, fitted to real tissue"
        self.region.tooltip = (
            "The canvas, or the rectangle or polygon that was drawn over it in a Shapes layer"
        )
        self.seed.tooltip = "The same seed draws the same points"
        self.next_seed.tooltip = "Another seed after every press"
        self.fill.tooltip = "Replaces the region's points by drawn ones; the others stay"
        self._words = [Label(value=text) for text in ("in", "seed")]
        where, seed = self._words
        box = column_in(self)
        box.addWidget(form(("Model", [self.model, where, self.region])))
        box.addWidget(side_by_side(self.fill, seed, self.seed, self.next_seed))
        self.model.changed.connect(self._choose)
        self.fill.changed.connect(lambda: self.fill_region())

    @property
    def busy(self) -> bool:
        """Whether a layout is being drawn."""
        return self._work.busy

    def let_go(self) -> None:
        """Ends the background work, because the dock is being destroyed."""
        self._work.close()

    def fill_region(self) -> None:
        """Draws new points for the region in the background."""
        editor = self._layout.editor
        try:
            existing = self._layout.layout_now()
            assert editor is not None  # there is a layout
            region = np.ones(existing.shape, bool)
            if self.region.value == SHAPE:
                region = shape_mask(self.viewer, editor.layer)
        except ValueError as error:
            show_warning(str(error))
            return
        name, seed = str(self.model.value), int(self.seed.value)
        data = np.array(editor.layer.data)

        def work() -> Layout:
            model = load_layout_model(name)
            return model.sample(
                existing.shape, seed, existing.mpp, region=region, existing=existing
            )

        def put(drawn: Layout) -> None:
            self.fill.enabled = True
            if editor is not self._layout.editor or not np.array_equal(editor.layer.data, data):
                show_warning("the layout changed meanwhile: press again")
                return
            stay = np.flatnonzero(~_inside(existing, region))
            rows = np.full(len(drawn), -1, np.int64)
            rows[: len(stay)] = stay
            editor.replace(drawn.centroids, drawn.class_ids, rows, np.zeros(len(drawn), bool))
            show_info(f"{len(drawn) - len(stay):,} points drawn by {Path(name).stem}, seed {seed}")
            if self.next_seed.value:
                self.seed.value = seed + 1

        def failed(error: Exception) -> None:
            self.fill.enabled = True
            show_warning(str(error))

        self.fill.enabled = False
        self._work.do(work, put, failed)

    def _choose(self, name: str) -> None:
        if name == BROWSE:
            name, _ = QFileDialog.getOpenFileName(self, "A layout model", filter="*.json")
        name = name or self._last
        self._last = name
        with self.model.changed.blocked():
            if name not in self.model.choices:
                self.model.choices = [*(c for c in self.model.choices if c != BROWSE), name, BROWSE]
            self.model.value = name


def shape_mask(viewer: ViewerModel, layer: Points) -> npt.NDArray[np.bool_]:
    """Mask of the chosen rectangle or polygon on a layout's canvas, bool (H, W).

    The shape is the selected one of the active Shapes layer, or else the last one of the topmost layer.
    Raises ValueError if there is none, if it is of another kind, or if it covers no pixel of the canvas.
    """
    active = viewer.layers.selection.active
    found = [x for x in reversed(viewer.layers) if isinstance(x, Shapes) and x.nshapes]
    if isinstance(active, Shapes) and active.nshapes:
        found.insert(0, active)
    if not found:
        raise ValueError("no region: draw a rectangle or polygon in a Shapes layer")
    shapes = found[0]
    number = max(shapes.selected_data) if shapes.selected_data else shapes.nshapes - 1
    if shapes.shape_type[number] not in ("rectangle", "polygon"):
        raise ValueError(
            f"{shapes.name}: expected a rectangle or polygon, got {shapes.shape_type[number]}"
        )
    corners = np.array(
        [layer.world_to_data(shapes.data_to_world(v))[-2:] for v in shapes.data[number]]
    )
    mask = np.asarray(polygon2mask(placement_from(layer).shape, corners), bool)
    if not mask.any():
        raise ValueError(f"{shapes.name}: the shape lies beside the canvas")
    return mask


def _inside(layout: Layout, region: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Mask of the points that lie on the region's pixels, bool (N,)."""
    at = np.floor(layout.centroids.astype(np.float64) + 0.5).astype(np.int64)
    at = at.clip(0, np.array(region.shape) - 1)
    return np.asarray(region[at[:, 0], at[:, 1]])
