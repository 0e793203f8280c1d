"""A result while it is sampled: its layers appear one by one, preview, and become the result."""

from __future__ import annotations

from collections.abc import Collection

from napari.components import ViewerModel
from napari.layers import Layer, Points
from qtpy.QtCore import QTimer

from napari_cosynth.types import ClassTable, Layout, Progress, Report, Synthesis
from napari_cosynth.widget.layers.layout import class_table_of, placement_from
from napari_cosynth.widget.layers.placement import Placement
from napari_cosynth.widget.layers.results import (
    blank_layers,
    fill,
    free_name,
    group_name,
    hide_all,
    show_estimate,
)

BETWEEN_LAYERS_MS = 20
"""Adding a layer holds the window for about 0.1 s; in between it may answer."""


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
        self._timer = QTimer()
        self._timer.setInterval(BETWEEN_LAYERS_MS)
        self._timer.timeout.connect(self._add_next)
        self._timer.start()
        self._shown = False
        self._sample: Synthesis | None = None
        self._unfinished = False

    def lies_on(self, placement: Placement, classes: ClassTable) -> bool:
        """Whether all its layers are in the viewer, or about to be, and are of this grid and classes."""
        there = [*self.viewer.layers, *self._waiting]
        complete = all(layer in there for layer in self.layers.values())
        # Not of its µm/px: while a checkpoint is being changed, a sample may be of the last one's.
        same_grid = (self.placement.shape, self.placement.layer_kwargs) == (
            placement.shape,
            placement.layer_kwargs,
        )
        return complete and same_grid and self.classes == classes

    def show_progress(self, progress: Progress) -> None:
        """Shows the clean estimate, where the progress carries one."""
        if progress.image is None or progress.labels is None:
            return
        self.layers["image"].data = progress.image
        self.layers["labels"].data = progress.labels
        if not self._shown:
            self._shown = True
            hide_all(self.viewer)
            self.layers["image"].visible = self.layers["labels"].visible = True

    def show_estimate(self, progress: Progress) -> None:
        """Shows the clean estimate of a run that will replace the sample, if there is one."""
        if self._sample is None or progress.image is None:
            self.show_progress(progress)
        elif progress.image.shape == self._sample.record.image.shape:
            self._unfinished = True
            show_estimate(self.layers, progress.image)

    def settle(self) -> None:
        """No sample follows what was previewed: shows the last one again, or nothing."""
        if self._sample is None:
            self.remove()
        elif self._unfinished:
            self._unfinished = False
            fill(self.layers, self._sample, self.group)

    def show_sample(self, sample: Synthesis) -> None:
        """Shows the finished sample; a layer that was removed meanwhile comes back."""
        first = self._sample is None  # later ones leave to the user what is seen
        if first:
            # What is hidden is filled in no time; what is seen napari maps and draws.
            hide_all(self.viewer)
            for layer in self.layers.values():
                layer.visible = False
        fill(self.layers, sample, self.group)
        self._sample, self._unfinished = sample, False
        self._waiting = [x for x in self.layers.values() if x not in self.viewer.layers]
        while self._waiting:
            self._add_next()
        if first:
            self.layers["image"].visible = self.layers["instances"].visible = True

    def remove(self) -> None:
        """Takes away what is there of it."""
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
        if not self._waiting:
            self._timer.stop()


def insert_below_points(viewer: ViewerModel, layer: Layer) -> None:
    """Adds a layer under the topmost Points and Shapes; what is selected stays so."""
    index = len(viewer.layers)
    while index > 0 and viewer.layers[index - 1]._type_string in ("points", "shapes"):
        index -= 1
    if viewer.layers.selection:
        insert_unselected(viewer, index, layer)
    else:
        viewer.layers.insert(index, layer)


def insert_unselected(viewer: ViewerModel, index: int, layer: Layer) -> None:
    """Adds a layer; what is selected stays so."""
    selection = viewer.layers.selection
    before = set(selection)
    # napari selects what is inserted, and shows its controls. Selecting the old layer again at once
    # would take as long as inserting does, so nobody is told of either.
    with selection.events.blocker_all():
        viewer.layers.insert(index, layer)
        selection.discard(layer)
        selection.update(before)


class RunView:
    """What a running synthesis needs to show what it makes."""

    def __init__(self, layout: Layout, placement: Placement, name: str) -> None:
        self.layout = layout
        """As it was when the run began."""
        self.name = name
        self.placement = placement
        """Of the result, on its own grid."""
        self.view: ResultView | None = None
        self.fleeting = False
        """Whether the layers of a sample make way for those of the next one."""

    def view_of(self, viewer: ViewerModel, seed: int, others: Collection[str] = ()) -> ResultView:
        """The layers of the sample that is being made, named as none of ``others``."""
        if self.view is None:
            group = free_name(viewer, group_name(self.name, seed), others)
            self.view = ResultView(viewer, self.placement, self.layout.classes, group)
        return self.view


class LiveView:
    """What live sampling shows its samples in: one result per layout, replaced by every sample."""

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self._view: ResultView | None = None

    def preview(self, progress: Progress, points: Points, mpp: float) -> None:
        """The estimate after a step, on the checkpoint's grid of ``mpp``."""
        if progress.labels is not None:
            self._view_of(points, mpp, progress.labels.shape).show_estimate(progress)

    def show(self, sample: Synthesis, points: Points, mpp: float) -> None:
        """A draft or a full sample of the layout."""
        self._view_of(points, mpp, sample.record.labels.shape).show_sample(sample)

    def settle(self) -> None:
        """No sample follows the estimates that were previewed: shows the last one again."""
        if self._view is not None:
            self._view.settle()

    def leave(self) -> None:
        """The next sample is of another layout, and gets layers of its own."""
        self.settle()
        self._view = None

    def _view_of(self, points: Points, mpp: float, shape: tuple[int, ...]) -> ResultView:
        """The layers in use; new ones where there are none, not all, or on another grid."""
        grid = placement_from(points).at_mpp(mpp, (shape[0], shape[1]))
        classes = class_table_of(points)
        if self._view is None or not self._view.lies_on(grid, classes):
            self.leave()
            group = free_name(self.viewer, f"{points.name} live")
            self._view = ResultView(self.viewer, grid, classes, group)
        return self._view


def summary(report: Report) -> str:
    """What a report found, in one line."""
    counts = {name: len(ids) for name, ids in report.to_json().items() if ids}
    found = [f"{count} {name}" for name, count in counts.items()]
    return ", ".join(found) or "every point has its nucleus"
