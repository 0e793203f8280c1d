"""Runs a synthesis off the GUI thread: one at a time, cancelled within one step.

The generator runs in napari's worker thread; what it yields arrives here on the GUI thread. torch is
imported in the worker, so that neither opening the dock nor the first click waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from napari.qt.threading import create_worker
from psygnal import Signal

from napari_cosynth.types import Progress, Request, Synthesis

Outcome = Literal["finished", "cancelled", "failed"]
Events = Iterator[Progress | Synthesis]


@dataclass(frozen=True)
class Failure:
    """An error on its way to the GUI thread.

    Yielded rather than raised: napari's workers take a RuntimeError for a deleted worker and drop
    it, and torch says "out of memory" with one.
    """

    error: Exception


def synthesis_events(request: Request) -> Events:
    """The core's events of a request; imports torch in the thread that calls it."""
    from napari_cosynth.synthesize import synthesize

    return synthesize(request)


def _guarded(source: Callable[[], Events]) -> Iterator[Progress | Synthesis | Failure]:
    try:
        yield from source()
    except Exception as error:  # every error must reach the user
        yield Failure(error)


class Runner:
    """The one running synthesis of a dock, and its signals, emitted on the GUI thread."""

    progressed = Signal(Progress)
    sampled = Signal(Synthesis)
    failed = Signal(Exception)
    ended = Signal(str)
    """An :data:`Outcome`: the last signal of every run."""

    def __init__(self) -> None:
        self._worker: object | None = None
        self._failed = False
        self._cancelled = False

    @property
    def busy(self) -> bool:
        """True from :meth:`start` until ``ended``, also while a cancelled run still stops."""
        return self._worker is not None

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def start(self, source: Callable[[], Events]) -> None:
        """Begins a run. Raises RuntimeError while another one is running."""
        if self.busy:
            raise RuntimeError("a synthesis is running already")
        self._failed = self._cancelled = False
        worker = create_worker(_guarded, source, _start_thread=False)
        self._worker = worker
        worker.yielded.connect(self._receive)
        worker.finished.connect(self._finish)
        worker.start()

    def cancel(self) -> None:
        """Stops the run before its next step; nothing more of it is reported but ``ended``."""
        if self._worker is not None and not self._cancelled:
            self._cancelled = True
            self._worker.quit()  # type: ignore[attr-defined]

    def close(self) -> None:
        """Cancels for good: no signal is emitted any more."""
        for signal in (self.progressed, self.sampled, self.failed, self.ended):
            signal.disconnect()
        self.cancel()

    def _receive(self, event: Progress | Synthesis | Failure) -> None:
        if self._cancelled:
            return
        if isinstance(event, Progress):
            self.progressed.emit(event)
        elif isinstance(event, Synthesis):
            self.sampled.emit(event)
        else:
            self._failed = True
            self.failed.emit(event.error)

    def _finish(self) -> None:
        self._worker = None
        outcome: Outcome = (
            "cancelled" if self._cancelled else "failed" if self._failed else "finished"
        )
        self.ended.emit(outcome)
