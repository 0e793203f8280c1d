"""The bar at the dock's foot, always in sight: Synthesise, Cancel, Live, progress, time and status."""

from __future__ import annotations

import time

from magicgui.widgets import CheckBox, ComboBox, Label, ProgressBar, PushButton
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget

from napari_cosynth.types import Progress, Request
from napari_cosynth.widget.qt.forms import allow, column_in, side_by_side
from napari_cosynth.widget.qt.offer import Offer
from napari_cosynth.widget.qt.status import Status
from napari_cosynth.widget.result.waiting import Waiting
from napari_cosynth.widget.run.speed import duration

READING_LOOK = "reading the look…"
SYNTHESISE, QUEUE = "Synthesise", "Queue"
"""Texts of the first button; ``QUEUE`` while a run goes on, because the next one waits for it."""
PARTS = 100
"""Progress bar units a step: a large canvas takes long for one step, and a run may have only one."""


class SingleClicks(QObject):
    """Event filter that drops the second click of a double click."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        return event is not None and event.type() == QEvent.Type.MouseButtonDblClick


class QueueRow(QWidget):
    """List of the runs that wait, with buttons to drop them; hidden if there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs = ComboBox(choices=[], label="Waiting runs")
        self.drop, self.drop_all = PushButton(text="Drop"), PushButton(text="Drop all")
        self._word = Label(value="")
        self._waiting: Waiting | None = None
        self.drop.tooltip = "Takes the chosen run back"
        self.drop_all.tooltip = "Takes all runs back that wait; the one that goes on stays"
        box = column_in(self)
        box.addWidget(side_by_side(self._word, self.jobs, self.drop, self.drop_all))
        self.jobs.tooltip = "Runs that wait, the next one first"
        self.drop.changed.connect(self._drop)
        self.drop_all.changed.connect(self._drop_all)
        self.hide()

    def follow(self, waiting: Waiting) -> None:
        """Shows these runs from now on."""
        self._waiting = waiting
        waiting.changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        jobs = self._waiting.jobs if self._waiting is not None else []
        names = [f"{row + 1}. {job.name}" for row, job in enumerate(jobs)]
        self.jobs.choices = names
        self.jobs.tooltip = "\n".join(["Runs that wait, the next one first", *names])
        self._word.value = f"{len(jobs)} waiting"
        self.setVisible(bool(jobs))

    def _drop(self) -> None:
        if self._waiting is not None and self.jobs.choices:
            self._waiting.drop(list(self.jobs.choices).index(self.jobs.value))

    def _drop_all(self) -> None:
        if self._waiting is not None:
            self._waiting.keep(lambda job: False)


class RunBar(QWidget):
    """Bar that shows one run at a time. ``live`` is the form's switch for Live, placed here."""

    def __init__(self, live: CheckBox) -> None:
        super().__init__()
        self.synthesise = PushButton(text=SYNTHESISE)
        self.into_image = PushButton(text="Into image")
        self.cancel = PushButton(text="Cancel")
        self.progress = ProgressBar(value=0, min=0, max=1)
        self.time = Label(value="")
        self.status = Status(lines=2)
        self._first: tuple[float, float] | None = None
        self.synthesise.tooltip = (
            "Samples the layout: image, labels and instances as new layers; while a run goes on, when "
            "it is over, with the settings as they are now"
        )
        self.into_image.tooltip = (
            "Samples the canvas into the image under it; around it the image stays"
        )
        self.cancel.tooltip = "Stops before the next step"
        self.time.tooltip = "As measured on this machine"
        self.queue = QueueRow()
        # A double click is meant as one run, not two.
        self._single = SingleClicks()
        for button in (self.synthesise, self.into_image):
            button.native.installEventFilter(self._single)
        self.progress.native.setMaximumHeight(14)
        self.progress.native.setTextVisible(False)
        box = column_in(self, 2, 0)
        self.offer = Offer()
        box.addWidget(self.offer)
        box.addWidget(side_by_side(self.synthesise, self.into_image, self.cancel, live))
        box.addWidget(side_by_side(self.progress, self.time))
        box.addWidget(self.status.native)
        box.addWidget(self.queue)

    def expect(self, time: str, on: str) -> None:
        """Shows the time that the next run will take, and its device."""
        self.time.value = time
        self.time.tooltip = f"As measured on this machine {on}".rstrip()

    def begin(self, request: Request) -> None:
        """Shows that a run starts. It reads the checkpoint first, which has no steps.

        The expected time stays until the time left is measured.
        """
        self._fill(0, PARTS * request.steps * len(request.seeds))
        self.status.value = "starting…"
        self.offer.close_it()
        self._first = None

    def advance(self, progress: Progress) -> None:
        """Shows a step's progress, and from the second step on the time left."""
        now = time.perf_counter()
        done = progress.index * progress.steps + progress.step + progress.part
        self._fill(int(PARTS * done))
        sample = f"sample {progress.index + 1} of {progress.count}, " if progress.count > 1 else ""
        part = f", {progress.part:.0%} of the next" if progress.part else ""
        self.status.value = f"{sample}step {progress.step} of {progress.steps}{part}"
        if self._first is None:
            self._first = now, done
        elif done > self._first[1]:
            begun, skipped = self._first
            whole = progress.count * progress.steps
            left = (now - begun) / (done - skipped) * (whole - done)
            self.time.value = f"{duration(left)} left"

    def end(self, outcome: str) -> None:
        """Shows that a run is over; the status of a finished run stays, as it describes the sample."""
        if outcome != "finished":
            self._fill(0)
            self.status.value = outcome

    def _fill(self, value: int, most: int | None = None) -> None:
        """Fills the progress bar. Qt would draw it, and with it the whole canvas, before it returns."""
        bar = self.progress.native
        bar.setUpdatesEnabled(False)
        if most is not None:
            self.progress.max = most
        self.progress.value = value
        bar.setUpdatesEnabled(True)

    def show_busy(self, busy: bool, ready: bool) -> None:
        """Updates the buttons. ``busy``: a run is going on that can be cancelled; ``ready``: there is a
        layout."""
        reason = "" if ready else "there is no layout yet"
        self.synthesise.text = QUEUE if busy and ready else SYNTHESISE
        allow(self.synthesise, reason)
        allow(self.into_image, reason)
        allow(self.cancel, "" if busy else "nothing is being sampled")
