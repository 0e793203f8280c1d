"""Backends of a synthesis: a process of its own, or the calling thread.

``benchmarks/gui_stalls.py`` compares them. In a thread, sampling and napari's own Python share one
interpreter lock: adding a layer then takes up to 0.8 s instead of 0.15 s. So the dock uses a process.
"""

from __future__ import annotations

import itertools
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, Protocol

from napari_cosynth.types import Progress, Synthesis
from napari_cosynth.widget.run.server import ASIDE, KINDS, Call, Failure
from napari_cosynth.widget.run.shared_arrays import Named, NotKept


class Backend(Protocol):
    """Interface that the dock's worker threads call; several threads may call it at the same time."""

    def call(self, kind: str, *arguments: Any) -> Iterator[Progress | Synthesis]:
        """The events of one of :data:`server.KINDS`, computed as they are iterated."""
        ...

    def ask(self, kind: str, *arguments: Any) -> Any:
        """The answer of one of :data:`server.ASIDE`, also while something is being sampled."""
        ...

    def warm_up(self, checkpoint: str, device: str) -> None:
        """Prepares for a call, if that does not block the window."""
        ...

    def cancel(self) -> None:
        """Stops all calls made so far before their next step; may be called in any thread."""
        ...

    def close(self) -> None:
        """Cancels everything and frees all resources."""
        ...


class InThread:
    """Computes in the thread that iterates; kept for comparison."""

    def call(self, kind: str, *arguments: Any) -> Iterator[Progress | Synthesis]:
        return KINDS[kind](*arguments)

    def ask(self, kind: str, *arguments: Any) -> Any:
        return next(KINDS[kind](*arguments))

    def warm_up(self, checkpoint: str, device: str) -> None:
        """Does nothing: importing torch here would block the window."""

    def cancel(self) -> None:
        """The worker thread stops by itself at the next event."""

    def close(self) -> None:
        """Does nothing: there are no resources to free."""


class RemoteError(Exception):
    """Cause of an error that holds the traceback of the sampling process."""


class SeparateProcess:
    """A sampling process that the first call starts and later calls use again."""

    def __init__(self) -> None:
        self._server: _Server | None = None
        self._numbers = itertools.count()
        self._latest = -1
        self._starting = threading.Lock()
        self._closed = False

    def call(self, kind: str, *arguments: Any) -> Iterator[Progress | Synthesis]:
        server, number = self._running(), next(self._numbers)
        if kind not in ASIDE:
            self._latest = number
        answers = server.answers_to(number)
        server.send(Call(number, kind, server.named.packed(arguments)))
        try:
            while (event := answers.get()) is not None:
                if isinstance(event, Failure) and isinstance(event.error, NotKept):
                    server.send(Call(number, kind, pickle.dumps(arguments, protocol=5)))
                elif isinstance(event, Failure):
                    cause = RemoteError("\n" + event.trace) if event.trace else None
                    raise event.error from cause
                else:
                    yield event
        finally:
            server.forget(number)

    def ask(self, kind: str, *arguments: Any) -> Any:
        return next(self.call(kind, *arguments))

    def warm_up(self, checkpoint: str, device: str) -> None:
        # Nobody waits for the answer.
        self._running().send(
            Call(next(self._numbers), "warm up", pickle.dumps((checkpoint, device)))
        )

    def cancel(self) -> None:
        if self._server is not None and self._server.alive:
            self._server.send(self._latest)

    def close(self) -> None:
        with self._starting:
            self._closed = True
            server, self._server = self._server, None
        if server is not None:
            server.kill()

    def _running(self) -> _Server:
        with self._starting:
            if self._closed:
                raise RuntimeError("the dock is closed")
            if self._server is None or not self._server.alive:
                self._server = _Server()
            return self._server


class _Server:
    """One sampling process, with a queue of answers for each running call."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            # Not -m: the module would be __main__, and its classes would have other names in pickles.
            [sys.executable, "-c", "from napari_cosynth.widget.run.server import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._writing = threading.Lock()
        self._waiting = threading.Lock()
        self._answers: dict[int, queue.SimpleQueue[Any]] = {}
        self.named = Named()
        self._ended: Failure | None = None
        threading.Thread(target=self._listen, name="cosynth-answers", daemon=True).start()

    @property
    def alive(self) -> bool:
        return self._ended is None and self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def answers_to(self, number: int) -> queue.SimpleQueue[Any]:
        """Queue for the events of a call, to be made before the call is sent; None ends the events."""
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with self._waiting:
            self._answers[number] = answers
            if self._ended is not None:
                answers.put(self._ended)
        return answers

    def forget(self, number: int) -> None:
        """Drops the further events of this call."""
        with self._waiting:
            self._answers.pop(number, None)

    def send(self, message: object) -> None:
        assert self._process.stdin is not None
        try:
            with self._writing:
                pickle.dump(message, self._process.stdin, protocol=5)
                self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # _listen reports that the process has ended

    def kill(self) -> None:
        # Closing the input would also end the server, but only after the current step.
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            while True:
                number, event = pickle.load(self._process.stdout)
                self.named.add(number, event)
                with self._waiting:
                    if number in self._answers:
                        self._answers[number].put(event)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            error = RuntimeError(self._obituary())
        with self._waiting:
            self._ended = Failure(error, "")
            for answers in self._answers.values():
                answers.put(self._ended)

    def _obituary(self) -> str:
        code = self._process.wait()
        reason = "; the system may have run out of memory" if code in (-9, 137) else ""
        return f"the sampling process ended unexpectedly (exit code {code}){reason}"
