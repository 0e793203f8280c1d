"""Live sampling in the dock: takes its requests from the form, shows its drafts and full samples."""

from __future__ import annotations

from collections.abc import Callable

from napari.components import ViewerModel

from napari_cosynth.types import Progress, Request, Synthesis
from napari_cosynth.widget.docks.request_form import RequestForm
from napari_cosynth.widget.docks.run_bar import READING_LOOK, RunBar
from napari_cosynth.widget.layers.layout import set_notes
from napari_cosynth.widget.result.result_view import LiveView
from napari_cosynth.widget.run.live import Live
from napari_cosynth.widget.run.worker import Runner


class LiveSampling:
    """Connects :class:`Live` to the form, the viewer and the run bar."""

    def __init__(
        self,
        viewer: ViewerModel,
        runner: Runner,
        form: RequestForm,
        bar: RunBar,
        tell: Callable[[Synthesis, str], None],
    ) -> None:
        """``tell`` is called with each shown sample and a text such as ``"live, draft, "``."""
        self.form, self.bar = form, bar
        self.live = Live(runner, self._request)
        self._view = LiveView(viewer)
        self._tell = tell
        self.live.began.connect(self._begin)
        self.live.shown.connect(self._show)
        self.live.previewed.connect(self._preview)
        self.live.dropped.connect(self._view.settle)
        runner.progressed.connect(self._advance)
        form.sampling.live.changed.connect(self.live.switch)

    def leave(self) -> None:
        """Stops the run because another layout is chosen; the next sample gets layers of its own."""
        self.live.stop()
        self._view.leave()

    def close(self) -> None:
        """Adds no more layers, because the dock is being destroyed."""
        self._view.stop()

    def _request(self) -> Request | None:
        """The form's request; None while the look is being read or there is no valid layout."""
        if not self.form.look.ready():
            self.bar.status.value = READING_LOOK  # the look's ``edited`` then starts Live again
            return None
        try:
            return self.form.live_request()
        except ValueError as error:
            self.bar.status.value = str(error)
            return None

    def _begin(self, request: Request) -> None:
        self.bar.begin(request)
        self.bar.status.value = f"live, {self._kind(request)} begins…"

    def _advance(self, progress: Progress) -> None:
        if self.live.busy:
            self.bar.advance(progress)
            self.bar.status.value = f"live, {self.bar.status.value}"

    def _preview(self, progress: Progress) -> None:
        points = self.form.layout.points
        if points is not None:
            self._view.preview(progress, points, self.form.mpp)

    def _show(self, sample: Synthesis) -> None:
        points = self.form.layout.points
        if points is None:
            return
        self._view.show(sample, points, self.form.mpp)
        if len(points.data) == len(sample.record.layout):
            set_notes(points, sample.report)
        self._tell(sample, f"live, {self._kind(sample.request)}, ")

    def _kind(self, request: Request) -> str:
        return "draft" if request.steps < self.form.sampling.steps.value else "full"
