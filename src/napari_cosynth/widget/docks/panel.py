"""The dock ``Plugins > CoSynth``: form -> :class:`Request` -> worker -> layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from napari.components import ViewerModel
from napari.utils.events import EventEmitter
from napari.utils.notifications import ErrorNotification, notification_manager
from qtpy.QtWidgets import QWidget

from napari_cosynth.widget.docks.continuing import continue_from
from napari_cosynth.widget.docks.keeping_runs import KeepingRuns
from napari_cosynth.widget.docks.model_controls import ModelControls
from napari_cosynth.widget.docks.preferences import read_preferences
from napari_cosynth.widget.docks.request_form import RequestForm
from napari_cosynth.widget.docks.run_bar import RunBar
from napari_cosynth.widget.docks.runs import Runs
from napari_cosynth.widget.gallery.gallery import Gallery
from napari_cosynth.widget.gallery.recovery_bar import RecoveryBar
from napari_cosynth.widget.layers.tags import read_tag
from napari_cosynth.widget.layout.layout_controls import LayoutControls
from napari_cosynth.widget.look.look_controls import LookControls
from napari_cosynth.widget.qt.column import Column, Section
from napari_cosynth.widget.qt.errors import told
from napari_cosynth.widget.qt.forms import column_in
from napari_cosynth.widget.qt.staying import Staying
from napari_cosynth.widget.result.refine import RefinePanel
from napari_cosynth.widget.result.result_picker import ResultPicker
from napari_cosynth.widget.run.activity import Activity
from napari_cosynth.widget.run.sampling_controls import SamplingControls
from napari_cosynth.widget.run.worker import Runner


class CoSynthPanel(Staying):
    """Dock that leads from a layout to its samples. It keeps its state and its run when it is closed."""

    title = "CoSynth"

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
        self.gallery = Gallery(napari_viewer)
        self.recovery = RecoveryBar(self.gallery.unfinished)
        self.runs = Runs(napari_viewer, self.runner, self.form, self.bar, self.gallery)
        self.keeping_runs = KeepingRuns(napari_viewer, self.runs, self.gallery)
        self.live, self.sampled = self.runs.live, self.runs.sampled
        self.activity = Activity(self.runner)
        self.start, self.vary, self.stop = self.runs.start, self.runs.vary, self.runs.stop
        self._lay_out()
        self._connect()
        if self.model.facts is not None:
            self.layout_controls.use_facts(self.model.facts)
            self.sampling.use_facts(self.model.facts)
            self.look.use_facts(self.model.facts)
        self._show_results()
        self._show_busy()
        self._summarise()
        self.gallery.unfinished.look()

    def _lay_out(self) -> None:
        result = QWidget()
        lines = column_in(result)
        lines.addWidget(self.results)
        lines.addWidget(self.refine)
        self.sections = {
            "Model": Section("Model", self.model.native),
            "Layout": Section("Layout", self.layout_controls),
            # Folded so that at 1280x800 the other three fit without scrolling; its summary shows all.
            "Sampling": Section("Sampling", self.sampling.native, folded=True),
            "Result": Section("Result", result),
        }
        outer = column_in(self, 4, 4)
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
        self.bar.synthesise.changed.connect(self.runs.start)
        self.bar.into_image.changed.connect(self.runs.start_into_image)
        self.bar.cancel.changed.connect(self.runs.stop)
        self.refine.wanted.connect(self.runs.start_repaint)
        self.results.go_on.changed.connect(told(lambda: self.continue_from(self.results.name)))
        # Not a bound method: napari could not disconnect a method of a QWidget that Qt has destroyed.
        refresh = partial(_call, self._show_results)
        for event in self._layer_events():
            event.connect(refresh)
        self.runner.failed.connect(self.report)
        self.runs.displayed.connect(self._on_displayed)
        self.sampled.connect(self._show_results)
        self.runs.changed.connect(self._show_busy)
        self.runs.changed.connect(self._summarise)
        self.gallery.displayed.connect(self._on_displayed)
        self.closed.connect(self._on_closed)
        self.reopened.connect(self.activity.end)
        disconnect = [partial(event.disconnect, refresh) for event in self._layer_events()]
        # Qt may destroy the dock together with its window. Then only its Python side still works.
        closing: list[Callable[[], object]] = [
            self.live.stop,
            self.runs.close,
            self.activity.end,
            self.runner.close,
            self.runs.speeds.close,
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

    def continue_from(self, name: str) -> None:
        """Puts a result's layout and settings into the form. Raises ValueError if there is no result."""
        continue_from(self.viewer, self.form, name)

    def _ask(self, kind: str, *arguments: object) -> object:
        return self.runner.backend.ask(kind, *arguments)

    def report(self, error: Exception) -> None:
        """Shows an error as a notification: one line, with the traceback behind a button."""
        notification_manager.dispatch(ErrorNotification(error))

    # -- answers to events

    def _on_edited(self) -> None:
        editor = self.layout_controls.editor
        self.model.show_classes(editor.class_names() if editor is not None else None)
        self.live.touch()

    def _on_switched(self) -> None:
        if self.isVisible() and self.layout_controls.points is not None and self.model.facts:
            self.runner.backend.warm_up(self.model.facts.name, str(self.model.device.value))
        points = self.layout_controls.points
        self.look.use_layout(points)
        if points is not None and (tag := read_tag(points.metadata)):
            self.model.suggest_tissue(tag.tissue)
        self.runs.switch_layout()

    def _show_busy(self) -> None:
        self.bar.show_busy(self.runs.busy, ready=self.layout_controls.points is not None)

    def _show_results(self) -> None:
        self.results.refresh()
        self.refine.refresh()
        self.look.refresh()
        self.runs.forget_gone()
        self.runs.forget_removed()
        self._summarise()  # the time of Into image is shown only if there is an image

    def _on_closed(self) -> None:
        self.sampling.live.value = False  # its switch is out of reach while the dock is closed
        self.activity.begin()

    def _on_displayed(self, group: str) -> None:
        self.results.choose(group)
        self.refine.refresh()

    def _summarise(self) -> None:
        """Shows the summaries of the folded sections and the expected time of the next run."""
        model = [part for part in (self.model.summary, self.look.summary) if part]
        self.sections["Model"].summarise(" · ".join(model))
        self.sections["Sampling"].summarise(self.sampling.summary)
        if not self.runs.shows_time:
            self.bar.expect(*self.form.expected_time(self.runs.speeds))


def _call(action: Callable[[], None], event: object) -> None:
    action()


def _let_go(closing: Sequence[Callable[[], object]], _: object) -> None:
    for close in closing:
        close()
