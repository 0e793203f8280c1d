"""The dock ``Plugins > CoSynth train``: from a folder of tiles to a model in the list of checkpoints."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from magicgui.widgets import Label, ProgressBar, PushButton
from napari.components import ViewerModel
from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QWidget
from skimage.io import imread

from napari_cosynth.known import WEIGHTS, locate
from napari_cosynth.training.own.aside import begin_arguments
from napari_cosynth.training.own.cost import Cost
from napari_cosynth.training.run_folder import RECIPE, Run, keep_model
from napari_cosynth.widget.docks.companion import Companion
from napari_cosynth.widget.docks.opening import closed
from napari_cosynth.widget.docks.preferences import (
    CHECKPOINTS,
    RUNS,
    own_folder,
    read_preferences,
)
from napari_cosynth.widget.qt.column import Column, Section
from napari_cosynth.widget.qt.errors import told
from napari_cosynth.widget.qt.forms import allow, column_in, side_by_side
from napari_cosynth.widget.qt.offer import Offer
from napari_cosynth.widget.qt.status import Status
from napari_cosynth.widget.qt.staying import Staying
from napari_cosynth.widget.run.background import Background
from napari_cosynth.widget.run.facts import read_facts
from napari_cosynth.widget.training.data_form import DataForm
from napari_cosynth.widget.training.run_form import RunForm
from napari_cosynth.widget.training.run_view import RunView
from napari_cosynth.widget.training.training import Training, time_left, told_of

SETTLED_MS = 300
"""Delay in ms after an edit of the form before the run's cost is estimated."""


class TrainDock(Companion, Staying):
    """Dock that stays with its run when it is closed.

    A run goes on until it is paused, done, or napari is closed.
    """

    title = "Train"

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self.training = Training()
        self._work = Background("train-form")
        self._asked = 0
        self.data = DataForm(self._ask)
        self.form = RunForm(own_folder(RUNS))
        self.view = RunView()
        self.start = PushButton(text="Start")
        self.pause = PushButton(text="Pause")
        self.resume = PushButton(text="Resume")
        self.open = PushButton(text="Open run…")
        self.progress = ProgressBar(value=0, min=0, max=1)
        self.time = Label(value="")
        self.status = Status(lines=2)
        self.offer = Offer()
        self.cost: Cost | None = None
        """Cost of the shown run."""
        self._cost_of: Path | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLED_MS)
        self.data.use_classes(read_facts("default").classes)
        self._lay_out()
        self._connect()
        self._show()

    def _ask(self, kind: str, *arguments: Any) -> Any:
        return self.panel.runner.backend.ask(kind, *arguments)

    def _lay_out(self) -> None:
        self.start.tooltip = "Writes the recipe and begins the run, in a process of its own"
        self.pause.tooltip = "Stops after the step; the run can be resumed, also another day"
        self.resume.tooltip = "Goes on with the run that is shown, as if it had never stopped"
        self.open.tooltip = "Shows a run by its folder, to look at it or to resume it"
        self.progress.native.setMaximumHeight(14)
        self.progress.native.setTextVisible(False)
        self.sections = {
            "Data set": Section("Data set", self.data),
            "Run": Section("Run", self.form),
            "Progress": Section("Progress", self.view, folded=True),
        }
        box = column_in(self, 4, 4)
        box.addWidget(Column(*self.sections.values()), 1)
        box.addWidget(self.offer)
        box.addWidget(side_by_side(self.start, self.pause, self.resume, self.open))
        box.addWidget(side_by_side(self.progress, self.time))
        box.addWidget(self.status.native)

    def _connect(self) -> None:
        self.data.changed.connect(self._on_form)
        self.form.changed.connect(self._on_form)
        self._timer.timeout.connect(self._estimate)
        self.start.changed.connect(told(self.begin))
        self.pause.changed.connect(lambda: self.training.pause())
        self.resume.changed.connect(told(self._resume))
        self.open.changed.connect(told(self._ask_and_open))
        self.view.back.changed.connect(lambda: self._step(-1))
        self.view.forward.changed.connect(lambda: self._step(1))
        self.view.large.changed.connect(lambda: self._enlarge())
        self.training.changed.connect(self._show)
        self.training.finished.connect(self._keep)
        self.closed.connect(self._on_closed)
        closing = (self.training.close, self.data.close_it, self._work.close)
        self.destroyed.connect(partial(_let_go, closing))

    @property
    def busy(self) -> bool:
        """Whether work off the GUI thread has not come back yet."""
        return self.data.busy or self._work.busy or self._timer.isActive()

    # -- before a run

    def _on_form(self) -> None:
        if self.data.survey is not None and not str(self.form.name.value):
            self.form.name.value = self.data.survey.path.name
        self._timer.start()
        self._show_buttons()

    def _wishes(self) -> tuple[str, int, dict[str, str], dict[str, Any]]:
        """Arguments of ``propose`` after survey and base recipe: name, steps, mapping, options."""
        return (
            str(self.form.name.value).strip(),
            int(self.form.steps.value),
            self.data.mapping,
            self.data.options,
        )

    def _estimate(self) -> None:
        """Estimates the cost of the run in the form; the sampling process counts it."""
        self._asked += 1
        number, found = self._asked, self.data.seen()
        if found is None or self.data.missing:
            self.form.expect(None, None, "")
            return
        arguments = found, self.form.base[0], self._wishes(), _weights(), None

        def show(cost: Cost) -> None:
            if number == self._asked:
                self.form.expect(cost, self._of_pass())

        def refuse(error: Exception) -> None:
            if number == self._asked:
                self.form.expect(None, None, str(error))

        self._work.do(lambda: self._ask("training recipe", *arguments), show, refuse)

    def _of_pass(self) -> float | None:
        """Seconds per pass and megapixel, as measured when sampling; None before the first sample."""
        device = str(self.panel.model.device.value)
        for name in ("default", self.panel.model.facts.name if self.panel.model.facts else ""):
            if (known := self.panel.runs.speeds.of(name, device)) is not None:
                return known.seconds
        return None

    # -- a run

    def begin(self) -> None:
        """Writes the recipe and begins the run. Raises ValueError if the form is not complete."""
        reason = self.data.missing or self.form.missing
        found = self.data.seen()
        if reason or found is None:
            raise ValueError(f"no run is begun: {reason}")
        folder, file, log = self.form.folder, self.form.recipe_file, self.form.log
        base, init = self.form.base
        device = str(self.panel.model.device.value)
        arguments = found, base, self._wishes(), _weights(), file
        self.data.remember()
        self.offer.close_it()
        self.status.value = "writing the recipe…"

        def go(cost: Cost) -> None:
            self.cost, self._cost_of = cost, folder
            parts = begin_arguments(file, found.path.parent, folder, init, device)
            self.training.begin(parts, folder, log)
            for name in ("Data set", "Run"):
                self.sections[name].heading.setChecked(False)
            self.sections["Progress"].heading.setChecked(True)

        def refuse(error: Exception) -> None:
            self.status.value = str(error)
            self._show_buttons()

        self._work.do(lambda: self._ask("training recipe", *arguments), go, refuse)
        self._show_buttons()

    def _resume(self) -> None:
        self.offer.close_it()
        self.training.resume(str(self.panel.model.device.value))

    def _ask_and_open(self) -> None:
        if name := QFileDialog.getExistingDirectory(self, "The folder of a run"):
            self.open_run(Path(name))

    def open_run(self, folder: Path) -> None:
        """Shows the run in a folder. Raises ValueError if there is none."""
        self.offer.close_it()
        self.training.open(folder)
        self.sections["Progress"].heading.setChecked(True)

    def _step(self, by: int) -> None:
        self.view.step(by)
        self.training.choose(self.view.chosen)

    def _enlarge(self) -> None:
        """Adds the shown samples as a layer of the viewer, in full size."""
        grid = self.training.grid
        if grid is None:
            return
        name = f"{grid.parents[1].name}, step {int(grid.stem)}"

        def show(pixels: Any) -> None:
            self.viewer.add_image(pixels, rgb=True, name=name)

        self._work.do(lambda: imread(grid), show)

    def _keep(self, run: Run) -> None:
        """Copies the model of a finished run to the checkpoints, and adds it to the list."""
        place = read_preferences().checkpoints or own_folder(CHECKPOINTS)

        def show(model: Path) -> None:
            self.panel.model.add(str(model))
            self.offer.make(
                f"{model.name} is in the list of checkpoints now ({model}).",
                {"Use it": lambda: self.panel.model.use(str(model))},
            )

        self._work.do(lambda: keep_model(run.folder, place, run.folder.name), show)

    # -- display

    def _show(self) -> None:
        run = self.training.run
        self.view.show_run(run)
        self.view.show_picture(self.training.picture)
        if run is not None and self._cost_of != run.folder:
            self._count(run)
        self.progress.max = run.steps if run is not None else 1
        self.progress.value = run.done if run is not None else 0
        self.time.value = time_left(run, self.cost)
        self.status.value = told_of(self.training)
        name = self.training.folder.name if self.training.folder is not None else ""
        self.sections["Progress"].summarise(name)
        self._show_buttons()

    def _count(self, run: Run) -> None:
        """Counts the cost of a run that was opened by its folder."""
        self.cost, self._cost_of = None, run.folder

        def show(cost: Cost) -> None:
            if self._cost_of == run.folder:
                self.cost = cost
                self._show()

        self._work.do(lambda: self._ask("training cost", run.folder / RECIPE, _weights()), show)

    def _show_buttons(self) -> None:
        alive = self.training.alive
        begun = "a run goes on" if alive else ""
        writes = "the recipe is being written" if self._work.busy and not alive else ""
        allow(self.start, begun or self.data.missing or self.form.missing)
        reason = "no run goes on"
        if self.training.state == "pausing":
            reason = "it is pausing"
        allow(self.pause, "" if self.training.state == "running" else reason)
        allow(self.resume, begun or ("" if self.training.resumable else "no paused run is shown"))
        allow(self.open, begun)
        found = self.data.survey
        self.sections["Data set"].summarise("" if found is None else found.path.name)
        self.sections["Run"].summarise(writes or str(self.form.name.value))

    def _on_closed(self) -> None:
        if self.training.alive:
            show_info(
                "CoSynth goes on training: open its train dock again to follow or pause the run"
            )


class OpenedTrainDock(QWidget):
    """Class whose call returns the viewer's :class:`TrainDock`, a closed one with its run.

    It is a class because npe2 expects one, to which it passes the viewer.
    """

    def __new__(cls, napari_viewer: ViewerModel) -> TrainDock:  # type: ignore[misc]
        return closed(TrainDock, napari_viewer) or TrainDock(napari_viewer)

    def __init__(self, napari_viewer: ViewerModel) -> None:
        """Never runs; its signature tells napari to pass the viewer."""


def _weights() -> int:
    """Number of weights of the bundled model, two bytes each; own models have as many."""
    return (locate("default") / WEIGHTS).stat().st_size // 2


def _let_go(closing: tuple[Any, ...], _: object) -> None:
    for close in closing:
        close()
