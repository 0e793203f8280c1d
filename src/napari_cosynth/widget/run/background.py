"""Work off the GUI thread, one piece after the other; the results come back on the GUI thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_cosynth.widget.qt.errors import tell

T = TypeVar("T")


class Background(QObject):
    """One worker thread, and a Qt signal that brings its results to the GUI thread."""

    _done = Signal(object)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"cosynth-{name}")
        self._open = True
        self._waiting = 0
        self._done.connect(self._deliver)

    @property
    def busy(self) -> bool:
        """Whether the result of some work has not come back yet."""
        return self._waiting > 0

    def do(
        self,
        work: Callable[[], T],
        then: Callable[[T], None] = lambda _: None,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        """Runs ``work`` in the thread and calls ``then`` with its result.

        If it raises, ``failed`` gets the error; without ``failed`` the user is told.
        """
        self._waiting += 1
        future = self._executor.submit(work)
        future.add_done_callback(lambda done: self._post(done, then, failed or tell))

    def finish(self, _: object = None) -> None:
        """Takes no more work; what is under way is done, and its result comes back."""
        self._executor.shutdown(wait=False)

    def close(self, _: object = None) -> None:
        """Drops later results; work that has begun or waits, such as writing a file, is still done."""
        self._open = False
        self._executor.shutdown(wait=False)

    def _post(self, done: Future[Any], then: Callable[[Any], None], failed: Any) -> None:
        if self._open:
            with suppress(RuntimeError):  # the program ends, and Qt has destroyed this object
                self._done.emit((done, then, failed))

    def _deliver(self, message: tuple[Future[Any], Callable[[Any], None], Any]) -> None:
        self._waiting -= 1
        if not self._open:
            return
        done, then, failed = message
        error = done.exception()
        if error is None:
            then(done.result())
        else:
            failed(error)
