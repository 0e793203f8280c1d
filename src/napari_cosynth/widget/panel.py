"""The dock ``Plugins > CoSynth``: form -> :class:`Request` -> worker -> layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from magicgui.widgets import ComboBox, Label, ProgressBar, PushButton
from napari.components import ViewerModel
from napari.utils.events import EventEmitter
from napari.utils.notifications import (
    ErrorNotification,
    notification_manager,
    show_info,
    show_warning,
)
from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_cosynth.geometry.edits import same_layout
from napari_cosynth.types import Progress, Request, Synthesis
from napari_cosynth.widget import results
from napari_cosynth.widget.column import Column
from napari_cosynth.widget.controls import ModelControls, SamplingControls, side_by_side
from napari_cosynth.widget.layers import placement_from, set_notes
from napari_cosynth.widget.layout_controls import LayoutControls
from napari_cosynth.widget.live import Live
from napari_cosynth.widget.preferences import read_preferences
from napari_cosynth.widget.refine import RefinePanel
from napari_cosynth.widget.result_view import ResultView, RunView, summary
from napari_cosynth.widget.worker import Runner


class CoSynthPanel(QWidget):
    """Everything from a layout to its samples. npe2 passes the viewer."""

    sampled = Signal(Synthesis)
    """A sample was made and is shown."""

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.runner = Runner()
        self.live = Live(self.runner, self._live_request)
        preferences = read_preferences()
        self.model = ModelControls(preferences.checkpoints, preferences.device)
        self.sampling = SamplingControls(preferences.steps)
        self.layout_controls = LayoutControls(napari_viewer)
        self.synthesise = PushButton(text="Synthesise")
        self.cancel = PushButton(text="Cancel")
        self.progress = ProgressBar(value=0, min=0, max=1)
        self.status = Label(value="")
        self.result = ComboBox(choices=[], nullable=True, label="Result")
        self.discard = PushButton(text="Discard")
        self.keep_only = PushButton(text="Keep only")
        self.refine = RefinePanel(napari_viewer, self.result)
        self._run: RunView | None = None
        self._live_view: ResultView | None = None
        self._start_next = False
        self._lay_out()
        self._connect()
        if self.model.facts is not None:
            self.layout_controls.use_facts(self.model.facts)
        self._show_results()
        self._show_busy()

    def _lay_out(self) -> None:
        self.cancel.tooltip = "Stops before the next step"
        self.discard.tooltip = "Remove this result's layers"
        self.keep_only.tooltip = "Remove the layers of all other results"
        self.progress.native.setMaximumHeight(14)
        self.status.native.setWordWrap(True)
        # Two lines at all times, so that the buttons stay where they are.
        self.status.native.setFixedHeight(42)
        self.status.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.status.native.setAlignment(Qt.AlignmentFlag.AlignTop)
        form = QWidget()
        column = QVBoxLayout(form)
        column.setContentsMargins(2, 2, 2, 2)
        column.setSpacing(6)
        self._headings = [Label(value=f"<b>{text}</b>") for text in ("Model", "Sampling", "Result")]
        column.addWidget(self._headings[0].native)
        column.addWidget(self.model.native)
        column.addWidget(self.layout_controls)
        column.addWidget(self._headings[1].native)
        column.addWidget(self.sampling.native)
        column.addWidget(self._headings[2].native)
        column.addWidget(self.refine)
        column.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(4, 4, 4, 4)
        outer.setSpacing(4)
        outer.addWidget(Column(form), 1)
        outer.addWidget(side_by_side(self.synthesise, self.cancel))
        outer.addWidget(self.progress.native)
        outer.addWidget(self.status.native)
        outer.addWidget(side_by_side(self.result, self.discard, self.keep_only))

    def _connect(self) -> None:
        self.model.changed_checkpoint.connect(self.layout_controls.use_facts)
        self.layout_controls.edited.connect(self._on_edited)
        self.layout_controls.switched.connect(self._on_switched)
        self.model.edited.connect(self.live.touch)
        self.sampling.edited.connect(self.live.touch)
        self.sampling.live.changed.connect(self.live.switch)
        self.live.shown.connect(self._show_live)
        self.synthesise.changed.connect(self.start)
        self.cancel.changed.connect(self.stop)
        self.result.changed.connect(self._choose_result)
        self.discard.changed.connect(self._discard)
        self.keep_only.changed.connect(self._keep_only)
        # Not a bound method: napari could not let go of a QWidget that Qt has destroyed.
        refresh = partial(_call, self._show_results)
        for event in self._layer_events():
            event.connect(refresh)
        self.runner.progressed.connect(self._on_progress)
        self.runner.sampled.connect(self._on_sample)
        self.runner.failed.connect(self.report)
        self.runner.ended.connect(self._on_end)
        disconnect = [partial(event.disconnect, refresh) for event in self._layer_events()]
        # Qt may destroy the dock with its window; by then only Python's side can still be reached.
        self.destroyed.connect(
            partial(_let_go, self.runner, self.live, self.layout_controls, self.refine, disconnect)
        )

    def _layer_events(self) -> tuple[EventEmitter, ...]:
        events = self.viewer.layers.events
        return events.inserted, events.removed

    # -- a run

    def request(self, seeds: tuple[int, ...]) -> Request:
        """What the form says now. Raises ValueError where it does not make a request."""
        if self.model.facts is None:
            raise ValueError("no checkpoint: choose one first")
        return Request(
            layout=self.layout_controls.layout_now(),
            prompt=str(self.model.prompt.value),
            checkpoint=self.model.facts.name,
            sampler=str(self.sampling.sampler.value),
            steps=int(self.sampling.steps.value),
            guidance=float(self.sampling.guidance.value),
            seeds=seeds,
            tissue=self.model.tissue_name,
            stain=str(self.model.stain.value),
            device=str(self.model.device.value),
            preview_every=int(self.sampling.preview.value),
        )

    def start(self) -> None:
        """Synthesises; while a run goes on, a second click does nothing."""
        if self.live.busy:
            self._start_next = True
            self.live.stop()
            return
        if self.runner.busy:
            return
        try:
            request = self.request(self.sampling.draw_seeds())
        except ValueError as error:
            show_warning(str(error))
            return
        points = self.layout_controls.points
        assert points is not None  # the request has a layout
        self._run = RunView(request, placement_from(points), points.name, self._grid_mpp())
        total = request.steps * len(request.seeds)
        self.progress.min, self.progress.max, self.progress.value = 0, total, 0
        self.status.value = "starting…"
        self.runner.call("synthesize", request)
        self._show_busy()

    def stop(self) -> None:
        """Cancels the run: no further step, and no further layer."""
        self.runner.cancel()
        if self._run is not None and self._run.view is not None:
            self._run.view.stop()

    def _on_progress(self, progress: Progress) -> None:
        run = self._run
        if run is None:
            return
        self.progress.value = progress.index * progress.steps + progress.step
        sample = f"sample {progress.index + 1} of {progress.count}, " if progress.count > 1 else ""
        self.status.value = f"{sample}step {progress.step} of {progress.steps}"
        run.view_of(self.viewer, progress.seed).show_progress(progress)

    def _on_sample(self, sample: Synthesis) -> None:
        run = self._run
        if run is None:
            return
        view = run.view_of(self.viewer, sample.seed)
        view.show_sample(sample)
        run.view = None
        self._show_results()
        with self.result.changed.blocked():
            self.result.value = view.group
        self._mark(sample)
        self._tell_time(sample)
        self.sampled.emit(sample)

    def _mark(self, sample: Synthesis) -> None:
        """Marks the layout's points, if they still are the ones that were sampled."""
        try:
            now = self.layout_controls.layout_now()
        except ValueError:
            return
        if same_layout(now, sample.request.layout):
            points = self.layout_controls.points
            assert points is not None
            set_notes(points, sample.report)
        else:
            show_info("The layout changed during the run; the result is of the layout as it was.")

    def _tell_time(self, sample: Synthesis, kind: str = "") -> None:
        device, precision = sample.provenance["device"], sample.provenance["precision"]
        self.model.device_note.value = f"→ {device}, {precision}"
        self.status.value = f"{kind}{sample.seconds:.1f} s a sample; {summary(sample.report)}"

    def _grid_mpp(self) -> float:
        assert self.model.facts is not None  # a request needs a checkpoint
        return self.model.facts.mpp

    def _on_end(self, outcome: str) -> None:
        run, self._run = self._run, None
        if run is not None and run.view is not None:
            run.view.remove()
        if outcome != "finished":
            self.progress.value = 0
            self.status.value = outcome
        self._show_busy()
        if self._start_next:
            self._start_next = False
            self.start()

    # -- live

    def _live_request(self) -> Request | None:
        """The form's request on the model's own grid; None while there is no valid layout."""
        try:
            request = self.request((int(self.sampling.seed.value),))
            return replace(
                request, layout=request.layout.scaled_to(self._grid_mpp()), preview_every=0
            )
        except ValueError as error:
            self.status.value = str(error)
            return None

    def _show_live(self, sample: Synthesis) -> None:
        points = self.layout_controls.points
        if points is None:
            return
        view = self._live_view
        if view is None or not view.complete:
            group = results.free_name(self.viewer, f"{points.name}{results.SEPARATOR}live")
            grid = placement_from(points).at_mpp(sample.record.mpp, sample.record.labels.shape)
            view = self._live_view = ResultView(self.viewer, grid, sample.record.classes, group)
            view.show_sample(sample)
            self._show_results()
        else:
            view.show_sample(sample)
        if len(points.data) == len(sample.record.layout):
            set_notes(points, sample.report)
        quality = "draft" if sample.request.steps < self.sampling.steps.value else "full"
        self._tell_time(sample, f"live, {quality}, ")
        self.sampled.emit(sample)

    def report(self, error: Exception) -> None:
        """An error as a notification: one line, its traceback behind a button."""
        notification_manager.dispatch(ErrorNotification(error))

    # -- what follows from events

    def _on_edited(self) -> None:
        editor = self.layout_controls.editor
        self.model.show_classes(editor.class_names() if editor is not None else None)
        self.live.touch()

    def _on_switched(self) -> None:
        if self.isVisible() and self.layout_controls.points is not None and self.model.facts:
            self.runner.backend.warm_up(self.model.facts.name, str(self.model.device.value))
        self._live_view = None
        removed = self.layout_controls.points is None
        if removed and self.runner.busy and not self.runner.cancelled:
            self.stop()
            show_warning("The layout was removed: its synthesis is cancelled.")
        self._show_busy()

    def _show_busy(self) -> None:
        busy = self.runner.busy and not self.live.busy
        self.synthesise.enabled = not busy and self.layout_controls.points is not None
        self.cancel.enabled = busy

    def _show_results(self) -> None:
        names = list(results.groups(self.viewer))
        with self.result.changed.blocked():
            before = self.result.value
            self.result.choices = names
            self.result.value = before if before in names else (names[-1] if names else None)
        self.discard.enabled = bool(names)
        self.keep_only.enabled = len(names) > 1
        self.refine.refresh()

    def _choose_result(self, group: str | None) -> None:
        if group:
            results.show_only(self.viewer, group)

    def _discard(self) -> None:
        if self.result.value:
            results.discard(self.viewer, str(self.result.value))
            self._choose_result(self.result.value)

    def _keep_only(self) -> None:
        for name in results.groups(self.viewer):
            if name != self.result.value:
                results.discard(self.viewer, name)


def _call(action: Callable[[], None], event: object) -> None:
    action()


def _let_go(
    runner: Runner,
    live: Live,
    controls: LayoutControls,
    refine: RefinePanel,
    disconnect: Sequence[Callable[[], None]],
    _: object,
) -> None:
    live.stop()
    runner.close()
    controls.close_editor()
    refine.let_go()
    for let_go in disconnect:
        let_go()
