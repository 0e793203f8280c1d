"""The dock ``Plugins > CoSynth``: form -> :class:`Request` -> worker -> layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from napari.components import ViewerModel
from napari.utils.events import EventEmitter
from napari.utils.notifications import (
    ErrorNotification,
    notification_manager,
    show_info,
    show_warning,
)
from psygnal import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cosynth.geometry.edits import same_layout
from napari_cosynth.types import Layout, Progress, Synthesis
from napari_cosynth.widget.docks.live_sampling import LiveSampling
from napari_cosynth.widget.docks.model_controls import ModelControls
from napari_cosynth.widget.docks.preferences import read_preferences
from napari_cosynth.widget.docks.request_form import RequestForm
from napari_cosynth.widget.docks.run_bar import READING_LOOK, RunBar
from napari_cosynth.widget.gallery.gallery import Gallery
from napari_cosynth.widget.gallery.recovery import RecoveryBar
from napari_cosynth.widget.layers.layout import set_notes
from napari_cosynth.widget.layers.tags import read_tag
from napari_cosynth.widget.layout.layout_controls import LayoutControls
from napari_cosynth.widget.look.look_controls import LookControls
from napari_cosynth.widget.qt.column import Column, Section
from napari_cosynth.widget.qt.questions import ask_mpp
from napari_cosynth.widget.result.refine import RefinePanel
from napari_cosynth.widget.result.result_picker import ResultPicker
from napari_cosynth.widget.result.result_view import RunView, summary
from napari_cosynth.widget.run.into_image import into_image
from napari_cosynth.widget.run.sampling_controls import SamplingControls
from napari_cosynth.widget.run.speed import Speeds
from napari_cosynth.widget.run.worker import Runner

LIVE = "live: the next edit is sampled"


class CoSynthPanel(QWidget):
    """Everything from a layout to its samples. npe2 passes the viewer."""

    sampled = Signal(Synthesis)
    """A sample was made and is shown."""

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.runner = Runner()
        preferences = read_preferences()
        self.look = LookControls(napari_viewer, self._ask)
        self.model = ModelControls(preferences.checkpoints, preferences.device, self.look.row)
        self.sampling = SamplingControls(preferences.steps, self.model.device)
        self.layout_controls = LayoutControls(napari_viewer)
        self.form = RequestForm(self.model, self.sampling, self.layout_controls, self.look)
        self.results = ResultPicker(napari_viewer)
        self.refine = RefinePanel(napari_viewer, self.results.result)
        self.bar = RunBar(self.sampling.live)
        self._live = LiveSampling(napari_viewer, self.runner, self.form, self.bar, self._show_live)
        self.live = self._live.live
        self.speeds = Speeds()
        self.gallery = Gallery(napari_viewer)
        self.recovery = RecoveryBar(self.gallery)
        self._run: RunView | None = None
        self._start_next: Callable[[], None] | None = None
        self._lay_out()
        self._connect()
        if self.model.facts is not None:
            self.layout_controls.use_facts(self.model.facts)
            self.sampling.use_facts(self.model.facts)
            self.look.use_facts(self.model.facts)
        self._show_results()
        self._show_busy()
        self._summarise()
        self.gallery.look_for_orphans()

    def _lay_out(self) -> None:
        result = QWidget()
        lines = QVBoxLayout(result)
        lines.setContentsMargins(0, 0, 0, 0)
        lines.setSpacing(4)
        lines.addWidget(self.results)
        lines.addWidget(self.refine)
        self.sections = {
            "Model": Section("Model", self.model.native),
            "Layout": Section("Layout", self.layout_controls),
            # Folded: at 1280x800 the other three fit without scrolling, and its summary says it all.
            "Sampling": Section("Sampling", self.sampling.native, folded=True),
            "Result": Section("Result", result),
        }
        outer = QVBoxLayout(self)
        outer.setContentsMargins(4, 4, 4, 4)
        outer.setSpacing(4)
        outer.addWidget(self.recovery)
        outer.addWidget(Column(*self.sections.values()), 1)
        outer.addWidget(self.bar)

    def _connect(self) -> None:
        self.model.changed_checkpoint.connect(self.layout_controls.use_facts)
        self.model.changed_checkpoint.connect(self.sampling.use_facts)
        self.model.changed_checkpoint.connect(self.look.use_facts)
        self.layout_controls.edited.connect(self._on_edited)
        self.layout_controls.switched.connect(self._on_switched)
        self.layout_controls.summarised.connect(self.sections["Layout"].summarise)
        for form in (self.model, self.sampling, self.look):
            form.edited.connect(self.live.touch)
            form.edited.connect(self._summarise)
        self.look.edited.connect(self._start_waiting)
        self.bar.synthesise.changed.connect(self.start)
        self.bar.into_image.changed.connect(self.start_into_image)
        self.bar.cancel.changed.connect(self.stop)
        # Not a bound method: napari could not let go of a QWidget that Qt has destroyed.
        refresh = partial(_call, self._show_results)
        for event in self._layer_events():
            event.connect(refresh)
        self.runner.progressed.connect(self._on_progress)
        self.runner.sampled.connect(self._on_sample)
        self.runner.failed.connect(self.report)
        self.runner.ended.connect(self._on_end)
        self.gallery.displayed.connect(self._on_displayed)
        disconnect = [partial(event.disconnect, refresh) for event in self._layer_events()]
        # Qt may destroy the dock with its window; by then only Python's side can still be reached.
        closing: list[Callable[[], object]] = [
            self.live.stop,
            self.runner.close,
            self.speeds.close,
            self.look.close,
            self.gallery.close,
            self.layout_controls.close_editor,
            self.refine.let_go,
            *disconnect,
        ]
        self.destroyed.connect(partial(_let_go, closing))

    def _layer_events(self) -> tuple[EventEmitter, ...]:
        events = self.viewer.layers.events
        return events.inserted, events.removed

    # -- a run

    def start(self) -> None:
        """Synthesises; while a run goes on, a second click does nothing."""
        self._start(self.sampling.draw_seeds)

    def vary(self, seeds: tuple[int, ...]) -> None:
        """Synthesises these seeds for the gallery: the viewer shows one of them after the other."""
        self._start(lambda: seeds, fleeting=True)

    def _start(self, draw_seeds: Callable[[], tuple[int, ...]], fleeting: bool = False) -> None:
        if self.live.busy:
            self._start_next = partial(self._start, draw_seeds, fleeting)
            self.live.stop()
            return
        if self.runner.busy or self._waits_for_look(partial(self._start, draw_seeds, fleeting)):
            return
        try:
            request = self.form.request(draw_seeds())
        except ValueError as error:
            show_warning(str(error))
            return
        points = self.layout_controls.points
        assert points is not None  # the request has a layout
        self._run = RunView(request.layout, self.form.placement_of(request), points.name)
        self._run.fleeting = fleeting
        self.bar.begin(request)
        self.runner.call("synthesize", request)
        self._show_busy()

    def start_into_image(self) -> None:
        """Samples the layout into the image under it; while a run goes on, a click does nothing."""
        if (
            self.live.busy
            or self.runner.busy
            or self._waits_for_look(self.start_into_image, into_image=True)
        ):
            return
        points = self.layout_controls.points
        try:
            request = self.form.request(self.sampling.draw_seeds(), into_image=True)
            assert points is not None  # the request has a layout
            whole = self.sampling.whole_canvas
            into = into_image(self.viewer, points, request, self.form.mpp, ask_mpp, whole)
        except ValueError as error:
            show_warning(str(error))
            return
        if into is None:
            return
        self._run = RunView(request.layout, into.placement, f"{points.name} in image")
        self.bar.begin(into.request)
        backend = self.runner.backend
        # Called in the worker's thread, which reads the slide too.
        self.runner.start(lambda: backend.call("inpaint", into.request, into.read()))
        self._show_busy()

    def _ask(self, kind: str, *arguments: object) -> object:
        return self.runner.backend.ask(kind, *arguments)

    def _waits_for_look(self, start: Callable[[], None], into_image: bool = False) -> bool:
        """Whether the look is not known yet; ``start`` follows when it is."""
        if self.look.ready(into_image):
            return False
        self._start_next = start
        self.bar.status.value = READING_LOOK
        return True

    def _start_waiting(self) -> None:
        if self._start_next is not None and not self.runner.busy and self.look.ready():
            start, self._start_next = self._start_next, None
            start()

    def stop(self) -> None:
        """Cancels the run: no further step, and no further layer."""
        self.runner.cancel()
        if self._run is not None and self._run.view is not None:
            self._run.view.stop()

    def _on_progress(self, progress: Progress) -> None:
        run = self._run
        if run is None:
            return
        self.bar.advance(progress)
        run.view_of(self.viewer, progress.seed, self.gallery.names).show_progress(progress)

    def _on_sample(self, sample: Synthesis) -> None:
        run = self._run
        if run is None:
            return
        view = run.view_of(self.viewer, sample.seed, self.gallery.names)
        view.show_sample(sample)
        self.gallery.record(sample, run.name, run.placement, view.group, run.fleeting)
        run.view = None
        self.results.choose(view.group)
        self.refine.refresh()
        self._mark(sample, run.layout)
        self._tell(sample)

    def _mark(self, sample: Synthesis, sampled: Layout) -> None:
        """Marks the layout's points, if they still are the ones that were sampled."""
        try:
            now = self.layout_controls.layout_now()
        except ValueError:
            return
        if same_layout(now, sampled):
            points = self.layout_controls.points
            assert points is not None
            set_notes(points, sample.report)
        else:
            show_info("The layout changed during the run; the result is of the layout as it was.")

    def _show_live(self, sample: Synthesis, kind: str) -> None:
        self._show_results()
        self._tell(sample, kind)

    def _tell(self, sample: Synthesis, kind: str = "") -> None:
        self.speeds.learn(sample)
        self.bar.status.value = f"{kind}{sample.seconds:.1f} s a sample; {summary(sample.report)}"
        self._summarise()
        self.sampled.emit(sample)

    def _on_end(self, outcome: str) -> None:
        run, self._run = self._run, None
        if run is not None and run.view is not None:
            run.view.remove()
        if not self.live.busy:  # its next run has begun already
            waits = outcome == "cancelled" and run is None and self.live.on
            self.bar.end(LIVE if waits else outcome)
        self._show_busy()
        self._summarise()
        self._start_waiting()

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
        self._live.leave()  # its sample is of the layout that was; the edit that follows begins anew
        self._start_next = None
        points = self.layout_controls.points
        self.look.use_layout(points)
        if points is not None and (tag := read_tag(points.metadata)):
            self.model.suggest_tissue(tag.tissue)
        self._summarise()
        removed = points is None
        if removed and self.runner.busy and not self.runner.cancelled:
            self.stop()
            show_warning("The layout was removed: its synthesis is cancelled.")
        self._show_busy()

    def _show_busy(self) -> None:
        busy = self.runner.busy and not self.live.busy
        self.bar.show_busy(busy, ready=self.layout_controls.points is not None)

    def _show_results(self) -> None:
        self.results.refresh()
        self.refine.refresh()
        self.look.refresh()

    def _on_displayed(self, group: str) -> None:
        self.results.choose(group)
        self.refine.refresh()

    def _summarise(self) -> None:
        """The folded sections in a line each, and how long the next run will take."""
        model = [part for part in (self.model.summary, self.look.summary) if part]
        self.sections["Model"].summarise(" · ".join(model))
        self.sections["Sampling"].summarise(self.sampling.summary)
        if self._run is None:  # else the time that is left stands there
            self.bar.time.value = self.form.expected_time(self.speeds)


def _call(action: Callable[[], None], event: object) -> None:
    action()


def _let_go(closing: Sequence[Callable[[], object]], _: object) -> None:
    for close in closing:
        close()
