"""Where a synthesis is computed: in a process of its own, or in the thread that asks.

``benchmarks/gui_stalls.py`` compares them. In a thread, sampling and napari's own Python share one
interpreter lock, and a layer that takes 0.15 s to add takes up to 0.8 s; so the dock uses a process.
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
    """What the dock's worker threads ask; several may at the same time."""

    def call(self, kind: str, *arguments: Any) -> Iterator[Progress | Synthesis]:
        """The events of one of :data:`server.KINDS`, computed as they are asked for."""
        ...

    def ask(self, kind: str, *arguments: Any) -> Any:
        """The answer of one of :data:`server.ASIDE`, whatever is being sampled."""
        ...

    def warm_up(self, checkpoint: str, device: str) -> None:
        """Gets ready for a call, where that can be done without holding anybody up."""
        ...

    def cancel(self) -> None:
        """From any thread: the calls made so far stop before their next step."""
        ...

    def close(self) -> None:
        """Cancels everything and gives back what is held."""
        ...


class InThread:
    """Computes in the thread that iterates; kept for comparison."""

    def call(self, kind: str, *arguments: Any) -> Iterator[Progress | Synthesis]:
        return KINDS[kind](*arguments)

    def ask(self, kind: str, *arguments: Any) -> Any:
        return next(KINDS[kind](*arguments))

    def warm_up(self, checkpoint: str, device: str) -> None:
        """Nothing: importing torch here would hold up the window."""

    def cancel(self) -> None:
        """The worker thread stops by itself at the next event."""

    def close(self) -> None:
        """Nothing is held."""


class RemoteError(Exception):
    """The traceback in the sampling process, as the cause of an error."""


class SeparateProcess:
    """A sampling process, started by the first call and kept."""

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
    """One sampling process, and who waits for which of its answers."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            # Not -m: run as __main__, its classes would have other names in their pickles.
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
        """Where the events of a call will come, which is made after this; None ends them."""
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with self._waiting:
            self._answers[number] = answers
            if self._ended is not None:
                answers.put(self._ended)
        return answers

    def forget(self, number: int) -> None:
        """What this call still has to say is passed over."""
        with self._waiting:
            self._answers.pop(number, None)

    def send(self, message: object) -> None:
        assert self._process.stdin is not None
        try:
            with self._writing:
                pickle.dump(message, self._process.stdin, protocol=5)
                self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # the answers will say that the process has ended

    def kill(self) -> None:
        # The server ends with its input; a step that is under way ends with it at once.
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
