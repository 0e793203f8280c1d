"""Where a synthesis is computed: in a process of its own, or in the thread that asks.

``benchmarks/gui_stalls.py`` compares them. In a thread, sampling and napari's own Python share one
interpreter lock, and a layer that takes 0.15 s to add takes up to 0.8 s; so the dock uses a process.
"""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, Protocol

from napari_cosynth.serve import KINDS, Call, Failure
from napari_cosynth.types import Progress, Synthesis


class Backend(Protocol):
    """What the dock's worker thread asks."""

    def call(self, kind: str, *arguments: Any) -> Iterator[Progress | Synthesis]:
        """The events of one of :data:`napari_cosynth.serve.KINDS`, computed as they are asked for."""
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

    def warm_up(self, checkpoint: str, device: str) -> None:
        """Nothing: importing torch here would hold up the window."""

    def cancel(self) -> None:
        """The worker thread stops by itself at the next event."""

    def close(self) -> None:
        """Nothing is held."""


class RemoteError(Exception):
    """The traceback in the sampling process, as the cause of an error."""


class InProcess:
    """A sampling process, started by the first call and kept; used by one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()
        self._latest = -1
        self._writing = threading.Lock()

    def call(self, kind: str, *arguments: Any) -> Iterator[Progress | Synthesis]:
        process = self._running()
        number = self._latest = next(self._numbers)
        self._send(process, Call(number, kind, arguments))
        assert process.stdout is not None
        while True:
            try:
                answered, event = pickle.load(process.stdout)
            except (EOFError, OSError, ValueError, pickle.UnpicklingError):
                raise RuntimeError(self._obituary(process)) from None
            if answered != number:
                continue  # what a cancelled call still had to say
            if event is None:
                return
            if isinstance(event, Failure):
                raise event.error from RemoteError("\n" + event.trace)
            yield event

    def warm_up(self, checkpoint: str, device: str) -> None:
        # Nobody waits for the answer: the next call passes over it.
        self._send(self._running(), Call(next(self._numbers), "warm up", (checkpoint, device)))

    def cancel(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._send(self._process, self._latest)

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            # The server ends with its input; a step that is under way ends with it at once.
            process.kill()
            process.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                # Not -m: run as __main__, its classes would have other names in their pickles.
                [sys.executable, "-c", "from napari_cosynth.serve import main; main()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        return self._process

    def _send(self, process: subprocess.Popen[bytes], message: object) -> None:
        assert process.stdin is not None
        try:
            with self._writing:
                pickle.dump(message, process.stdin, protocol=5)
                process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # reading its answer will say that the process has ended

    def _obituary(self, process: subprocess.Popen[bytes]) -> str:
        code = process.wait()
        reason = "; the system may have run out of memory" if code in (-9, 137) else ""
        return f"the sampling process ended unexpectedly (exit code {code}){reason}"
