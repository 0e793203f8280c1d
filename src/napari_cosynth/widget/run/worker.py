"""Runs a synthesis off the GUI thread: one at a time, cancelled within one step.

The generator runs in napari's worker thread; its events arrive here on the GUI thread. The
:mod:`.backend` decides in which process they are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from napari.qt.threading import create_worker
from psygnal import Signal

from napari_cosynth.types import Progress, Synthesis
from napari_cosynth.widget.run.backend import Backend, SeparateProcess
from napari_cosynth.widget.run.collection import NewOnly

Outcome = Literal["finished", "cancelled", "failed"]
Events = Iterator[Progress | Synthesis]


@dataclass(frozen=True)
class Failure:
    """An error on its way to the GUI thread.

    It is yielded, not raised: napari's workers drop a RuntimeError, because they take it for a deleted
    worker, and torch raises one for "out of memory".
    """

    error: Exception


def _guarded(source: Callable[[], Events]) -> Iterator[Progress | Synthesis | Failure]:
    try:
        yield from source()
    except Exception as error:  # every error must reach the user
        yield Failure(error)


class Runner:
    """A dock's one running synthesis; its signals are emitted on the GUI thread."""

    began = Signal()
    """A run began: `busy` is true."""
    progressed = Signal(Progress)
    sampled = Signal(Synthesis)
    failed = Signal(Exception)
    ended = Signal(str)
    """An :data:`Outcome`; the last signal of every run."""

    def __init__(self, backend: Backend | None = None) -> None:
        self.backend: Backend = backend or SeparateProcess()
        self._worker: object | None = None
        self._failed = False
        self._cancelled = False
        self._collection = NewOnly()

    @property
    def busy(self) -> bool:
        """True from :meth:`start` until ``ended``, also while a cancelled run is stopping."""
        return self._worker is not None

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def call(self, kind: str, *arguments: Any) -> None:
        """Begins a run of one of the backend's kinds of call."""
        self.start(partial(self.backend.call, kind, *arguments))

    def start(self, source: Callable[[], Events]) -> None:
        """Begins a run of any source of events. Raises RuntimeError while another one is running."""
        if self.busy:
            raise RuntimeError("a synthesis is running already")
        self._failed = self._cancelled = False
        self._collection.begin()
        worker = create_worker(_guarded, source, _start_thread=False)  # type: ignore[arg-type]
        self._worker = worker
        worker.yielded.connect(self._receive)
        worker.finished.connect(self._finish)  # type: ignore[arg-type]
        worker.start()
        self.began.emit()

    def cancel(self) -> None:
        """Stops the run before its next step; after this it emits only ``ended``."""
        if self._worker is not None and not self._cancelled:
            self._cancelled = True
            self._worker.quit()  # type: ignore[attr-defined]
            self.backend.cancel()

    def close(self) -> None:
        """Cancels for good: no further signal is emitted."""
        for signal in (self.began, self.progressed, self.sampled, self.failed, self.ended):
            signal.disconnect()
        self.cancel()
        self.backend.close()
        self._collection.end()

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
        self._collection.end()
        self.ended.emit(outcome)
