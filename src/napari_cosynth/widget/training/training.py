"""The one run that a window trains or shows: its process, and the progress in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from psygnal import Signal
from qtpy.QtCore import QObject, QTimer
from qtpy.QtGui import QImage

from napari_cosynth.training.own.aside import PAUSED, Aside, resume_arguments
from napari_cosynth.training.own.cost import Cost
from napari_cosynth.training.run_folder import RECIPE, Run, read_run
from napari_cosynth.widget.run.background import Background
from napari_cosynth.widget.run.speed import duration

LOOK_MS = 1000
"""Interval in ms between two reads of a running run's folder."""

State = Literal["none", "running", "pausing", "paused", "done", "failed"]


class Training(QObject):
    """One run and its state. It reads off the GUI thread, then emits ``changed``."""

    changed = Signal()
    finished = Signal(Run)
    """A run that this window trained has done its last step."""

    def __init__(self) -> None:
        super().__init__()
        self._work = Background("training")
        self._aside: Aside | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._pausing = False
        self._chosen: Path | None = None
        self.folder: Path | None = None
        self.run: Run | None = None
        self.grid: Path | None = None
        """The grid of :attr:`picture`."""
        self.picture: QImage | None = None
        self.error = ""
        """Last line of output of a run that failed."""

    @property
    def state(self) -> State:
        """State of the shown run."""
        if self._aside is not None:
            return "pausing" if self._pausing else "running"
        if self.error:
            return "failed"
        if self.run is None:
            return "none"
        return "done" if self.run.finished else "paused"

    @property
    def alive(self) -> bool:
        """Whether a run's process is running."""
        return self._aside is not None

    @property
    def resumable(self) -> bool:
        """Whether the shown run can be resumed."""
        run = self.run
        return not self.alive and run is not None and not run.finished and run.start is not None

    def begin(self, arguments: Sequence[str], folder: Path, log: Path) -> None:
        """Begins a run in a process of its own. Raises OSError if its log cannot be written."""
        self._forget()
        self.folder = folder
        self._start(arguments, log)

    def resume(self, device: str) -> None:
        """Resumes the shown run. Raises ValueError if its folder does not name its data."""
        assert self.run is not None
        arguments = resume_arguments(self.run, device)
        self._start(arguments, self.run.folder.with_name(self.run.folder.name + ".log"))

    def pause(self) -> None:
        """Stops the run after the current step; it saves the state to resume from."""
        if self._aside is not None:
            self._pausing = True
            self._aside.stop()
            self.changed.emit()

    def open(self, folder: Path) -> None:
        """Shows the run in a folder. Raises ValueError if there is none."""
        if not (folder / RECIPE).is_file():
            read_run(folder)  # raises the ValueError
        self._forget()
        self.folder = folder
        self.look_again()

    def look_again(self, chosen: Path | None = None) -> None:
        """Reads the run's folder again, and the grid ``chosen`` or else the newest."""
        folder, shown = self.folder, self.grid
        if folder is None:
            return

        def work() -> tuple[Run | None, Path | None, QImage | None]:
            if not (folder / RECIPE).is_file():
                return None, None, None  # the run has not written its recipe yet
            run = read_run(folder)
            grid = chosen if chosen in run.grids else run.grids[-1] if run.grids else None
            # The picture is read and decoded in this thread: a grid has millions of pixels.
            fresh = grid is not None and grid != shown
            return run, grid, QImage(str(grid)) if fresh else None

        def show(found: tuple[Run | None, Path | None, QImage | None]) -> None:
            if folder != self.folder:
                return
            self.run, self.grid, picture = found
            if picture is not None or self.grid is None:
                self.picture = picture
            self.changed.emit()

        def refuse(error: Exception) -> None:
            self.error = str(error)
            self.changed.emit()

        self._work.do(work, show, refuse)

    def close(self) -> None:
        """Stops a run after its current step, because the window closes; it can be resumed."""
        if self._aside is not None:
            self._aside.stop()
        self._work.close()
        with suppress(RuntimeError):  # Qt has destroyed it already
            self._timer.stop()

    def wait(self, seconds: float) -> None:
        """Waits until the process has ended, at most this long."""
        if self._aside is not None:
            self._aside.wait(seconds)

    def _forget(self) -> None:
        self.run = self.grid = self.picture = None
        self.error = ""

    def _start(self, arguments: Sequence[str], log: Path) -> None:
        self.error, self._pausing = "", False
        self._aside = Aside(arguments, log)
        self._timer.start()
        self.changed.emit()

    def _look(self) -> None:
        if self._aside is None or self._work.busy:
            return
        if self._aside.code is not None:
            self._end(self._aside, self._aside.code)
            return
        self.look_again(self._chosen)

    def choose(self, grid: Path | None) -> None:
        """Shows this grid from now on; None: always the newest."""
        self._chosen = grid
        self.look_again(grid)

    def _end(self, aside: Aside, code: int) -> None:
        """Ends the run whose process has ended: reads the folder once more, then emits the signals."""
        self._timer.stop()
        folder = self.folder
        assert folder is not None

        def show(run: Run | None) -> None:
            self._aside, self.run = None, run
            if code not in (0, PAUSED):
                self.error = aside.last_line() or f"the process ended with code {code}"
            self.changed.emit()
            self.look_again(self._chosen)
            if code == 0 and run is not None and run.finished:
                self.finished.emit(run)

        def refuse(error: Exception) -> None:
            self._aside, self.error = None, str(error)
            self.changed.emit()

        there = (folder / RECIPE).is_file()
        self._work.do(lambda: read_run(folder) if there else None, show, refuse)


def told_of(training: Training) -> str:
    """State of a run in one line; empty if none is shown."""
    state, run = training.state, training.run
    if state == "none":
        return ""
    if state == "failed":
        return f"stopped: {training.error}"
    if run is None or (state == "running" and not run.done):
        return "starting: reading the tiles…"
    done = f"{run.done:,} of {run.steps:,} steps"
    if state == "running":
        pace = f", {run.seconds:.2g} s each" if run.seconds is not None else ""
        return done + pace
    if state == "pausing":
        return f"{done}: pausing after this step…"
    if state == "done":
        return f"done: {run.steps:,} steps"
    hint = "" if run.start is not None else "; its data are not told: resume it by cosynth train"
    return f"paused after {done}{hint}"


def time_left(run: Run | None, cost: Cost | None) -> str:
    """Time left of a run, from its measured steps; empty if it is not known."""
    if run is None or run.finished or cost is None or run.seconds is None:
        return ""
    return f"{duration(cost.seconds_as_measured(run.seconds, run.done))} left"
