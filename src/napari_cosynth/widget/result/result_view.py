"""View of a result while it is sampled: its layers appear one by one, show previews, then the result."""

from __future__ import annotations

from collections.abc import Collection

from napari.components import ViewerModel
from napari.layers import Layer, Points, Shapes
from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer

from napari_cosynth.geometry.edits import same_layout
from napari_cosynth.types import ClassTable, Layout, Progress, Report, Synthesis
from napari_cosynth.widget.layers.layout import (
    class_table_of,
    layout_from,
    placement_from,
    set_notes,
)
from napari_cosynth.widget.layers.placement import Placement
from napari_cosynth.widget.layers.results import (
    blank_layers,
    fill,
    free_name,
    group_name,
    hide_all,
    show_estimate,
    show_layer,
)

BETWEEN_LAYERS_MS = 20
"""Pause in ms: adding a layer blocks the window for about 0.1 s; in the pause it can respond."""
BEFORE_PICTURE = 2
"""Number of layers that are added before the first clean estimate is here; more would delay it."""


class ResultView:
    """The layers of one sample, below the viewer's points and shapes."""

    def __init__(
        self, viewer: ViewerModel, placement: Placement, classes: ClassTable, group: str
    ) -> None:
        self.viewer = viewer
        self.placement = placement
        self.classes = classes
        self.group = group
        self.layers = blank_layers(placement, classes, group)
        self._waiting = list(self.layers.values())
        self._added: list[Layer] = []
        # One shot at a time: a timer that repeats is due again after a slow layer, before a click is.
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(BETWEEN_LAYERS_MS)
        self._timer.timeout.connect(self._add_next)
        self._timer.start()
        self._shown = False
        self._sample: Synthesis | None = None
        self._unfinished = False

    def lies_on(self, placement: Placement, classes: ClassTable) -> bool:
        """Whether all layers are in the viewer, or about to be, and have this grid and these classes."""
        there = [*self.viewer.layers, *self._waiting]
        complete = all(layer in there for layer in self.layers.values())
        # µm/px is not compared: while the checkpoint changes, a sample may have the earlier one's.
        same_grid = (self.placement.shape, self.placement.layer_kwargs) == (
            placement.shape,
            placement.layer_kwargs,
        )
        return complete and same_grid and self.classes == classes

    def show_progress(self, progress: Progress) -> None:
        """Shows the clean estimate if the progress has one."""
        if progress.image is None or progress.labels is None:
            return
        self.layers["image"].data = progress.image
        self.layers["labels"].data = progress.labels
        if not self._shown:
            self._shown = True
            hide_all(self.viewer)
            self._show("image", "labels")
            self._timer.start()

    def show_estimate(self, progress: Progress) -> None:
        """Shows the clean estimate of a run that will replace the sample, if there is one."""
        if self._sample is None or progress.image is None:
            self.show_progress(progress)
        elif progress.image.shape == self._sample.record.image.shape:
            self._unfinished = True
            show_estimate(self.layers, progress.image)

    def settle(self) -> None:
        """Replaces a preview that no sample follows by the last sample; removes it if there is none."""
        if self._sample is None:
            self.remove()
        elif self._unfinished:
            self._unfinished = False
            fill(self.layers, self._sample, self.group)

    def show_sample(self, sample: Synthesis) -> None:
        """Shows the finished sample; adds layers again that were removed meanwhile."""
        first = self._sample is None  # later samples do not change which layers are visible
        if first:
            # Filling hidden layers is fast; napari maps and draws visible ones.
            hide_all(self.viewer)
            self._show()
        fill(self.layers, sample, self.group)
        self._sample, self._unfinished = sample, False
        self._waiting = [x for x in self.layers.values() if x not in self.viewer.layers]
        while self._waiting:
            self._add_next()
        if first:
            self._show("image", "instances")

    def _show(self, *roles: str) -> None:
        for role, layer in self.layers.items():
            show_layer(layer, role in roles)

    def remove(self) -> None:
        """Removes its layers from the viewer."""
        self.stop()
        for layer in self._added:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)

    def stop(self) -> None:
        """Adds no more layers."""
        self._timer.stop()
        self._waiting.clear()

    def _add_next(self) -> None:
        if self._waiting:
            layer = self._waiting.pop(0)
            insert_below_points(self.viewer, layer)
            self._added.append(layer)
        if self._waiting and (self._shown or len(self._added) < BEFORE_PICTURE):
            self._timer.start()
        else:
            self._timer.stop()


def insert_below_points(viewer: ViewerModel, layer: Layer) -> None:
    """Adds a layer under the topmost Points and Shapes; the selection stays."""
    index = len(viewer.layers)
    while index > 0 and isinstance(viewer.layers[index - 1], (Points, Shapes)):
        index -= 1
    if viewer.layers.selection:
        insert_unselected(viewer, index, layer)
    else:
        viewer.layers.insert(index, layer)


def insert_unselected(viewer: ViewerModel, index: int, layer: Layer) -> None:
    """Adds a layer; the selection stays."""
    selection = viewer.layers.selection
    before = set(selection)
    # napari selects an inserted layer and shows its controls. Selecting the old layer again would take
    # as long as the insertion, so the events of both are blocked.
    with selection.events.blocker_all():
        viewer.layers.insert(index, layer)
        selection.discard(layer)
        selection.update(before)


class RunView:
    """Layout, placement and layers of a running synthesis, for showing its samples."""

    def __init__(self, layout: Layout, placement: Placement, name: str) -> None:
        self.layout = layout
        """The layout when the run began."""
        self.name = name
        self.placement = placement
        """Placement of the result on its own grid."""
        self.view: ResultView | None = None
        self.fleeting = False
        """Whether the next sample replaces the layers of the one before."""

    def view_of(self, viewer: ViewerModel, seed: int, others: Collection[str] = ()) -> ResultView:
        """View of the sample that is being made; its name differs from all of ``others``."""
        if self.view is None:
            group = free_name(viewer, group_name(self.name, seed), others)
            self.view = ResultView(viewer, self.placement, self.layout.classes, group)
        return self.view

    def note_on(self, points: Points, report: Report) -> None:
        """Puts a report's notes on the layout's points if they are still the sampled ones."""
        try:
            now = layout_from(points)
        except ValueError:
            return
        if same_layout(now, self.layout):
            set_notes(points, report)
        else:
            show_info("The layout changed during the run; the result is of the layout as it was.")


class LiveView:
    """View of live sampling: one result per layout, which each sample replaces."""

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self._view: ResultView | None = None

    def preview(self, progress: Progress, points: Points, mpp: float) -> None:
        """Shows the clean estimate after a step, on the checkpoint's grid of ``mpp``."""
        if progress.labels is not None:
            self._view_of(points, mpp, progress.labels.shape).show_estimate(progress)

    def show(self, sample: Synthesis, points: Points, mpp: float) -> None:
        """Shows a draft or a full sample of the layout."""
        self._view_of(points, mpp, sample.record.labels.shape).show_sample(sample)

    def settle(self) -> None:
        """Replaces a preview that no sample follows by the last sample."""
        if self._view is not None:
            self._view.settle()

    def stop(self) -> None:
        """Adds no more layers."""
        if self._view is not None:
            self._view.stop()

    def leave(self) -> None:
        """Gives the next sample layers of its own, because it is of another layout."""
        self.settle()
        self._view = None

    def _view_of(self, points: Points, mpp: float, shape: tuple[int, ...]) -> ResultView:
        """The view in use; a new one if there is none, a layer is missing, or the grid differs."""
        grid = placement_from(points).at_mpp(mpp, (shape[0], shape[1]))
        classes = class_table_of(points)
        if self._view is None or not self._view.lies_on(grid, classes):
            self.leave()
            group = free_name(self.viewer, f"{points.name} live")
            self._view = ResultView(self.viewer, grid, classes, group)
        return self._view


def summary(report: Report) -> str:
    """A report's findings in one line."""
    counts = {name: len(ids) for name, ids in report.to_json().items() if ids}
    found = [f"{count} {name}" for name, count in counts.items()]
    return ", ".join(found) or "every point has its nucleus"
