"""A result while it is sampled: its layers appear one by one, preview, and become the result."""

from __future__ import annotations

from napari.components import ViewerModel
from napari.layers import Layer
from qtpy.QtCore import QTimer

from napari_cosynth.types import ClassTable, Progress, Report, Request, Synthesis
from napari_cosynth.widget.placement import Placement
from napari_cosynth.widget.results import SEPARATOR, blank_layers, fill, free_name, hide_all

BETWEEN_LAYERS_MS = 20
"""Adding a layer holds the window for about 0.1 s; in between it may answer."""


class ResultView:
    """The layers of one sample, below the viewer's points and shapes."""

    def __init__(
        self, viewer: ViewerModel, placement: Placement, classes: ClassTable, group: str
    ) -> None:
        self.viewer = viewer
        self.group = group
        self.layers = blank_layers(placement, classes, group)
        self._waiting = list(self.layers.values())
        self._added: list[Layer] = []
        self._timer = QTimer()
        self._timer.setInterval(BETWEEN_LAYERS_MS)
        self._timer.timeout.connect(self._add_next)
        self._timer.start()
        self._shown = False

    @property
    def complete(self) -> bool:
        """Whether all its layers are in the viewer."""
        return all(layer in self.viewer.layers for layer in self.layers.values())

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

    def show_sample(self, sample: Synthesis) -> None:
        """Shows the finished sample; a layer that was removed meanwhile comes back."""
        first = not self._shown or self.layers["labels"].visible
        fill(self.layers, sample, self.group)
        self._waiting = [x for x in self.layers.values() if x not in self.viewer.layers]
        while self._waiting:
            self._add_next()
        if first:
            hide_all(self.viewer)
            self.layers["image"].visible = self.layers["instances"].visible = True
        self._shown = True

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
    """Adds a layer under the topmost Points and Shapes; the active layer stays active."""
    active = viewer.layers.selection.active
    index = len(viewer.layers)
    while index > 0 and viewer.layers[index - 1]._type_string in ("points", "shapes"):
        index -= 1
    viewer.layers.insert(index, layer)
    if active is not None and active in viewer.layers:
        viewer.layers.selection.active = active


class RunView:
    """What a running synthesis needs to show what it makes."""

    def __init__(self, request: Request, placement: Placement, name: str, mpp: float) -> None:
        self.request = request
        self.name = name
        # The result's own grid: the layout's canvas at the checkpoint's µm/px.
        self.placement = placement.at_mpp(mpp, request.layout.scaled_to(mpp).shape)
        self.view: ResultView | None = None

    def view_of(self, viewer: ViewerModel, seed: int) -> ResultView:
        """The layers of the sample that is being made."""
        if self.view is None:
            group = free_name(viewer, f"{self.name}{SEPARATOR}seed {seed}")
            self.view = ResultView(viewer, self.placement, self.request.layout.classes, group)
        return self.view


def summary(report: Report) -> str:
    """What a report found, in one line."""
    counts = {name: len(ids) for name, ids in report.to_json().items() if ids}
    found = [f"{count} {name}" for name, count in counts.items()]
    return ", ".join(found) or "every point has its nucleus"
