"""``cosynth train`` in a process of its own, which whoever began it can pause and never leaves behind.

Its input is a pipe that nothing is written to. When that ends, because it was closed or because its
parent is gone, the process gets what Ctrl-C would give it: it stops after the step, with its state, and
can be resumed. Nothing of this needs signals between processes, so it is the same on every system.
"""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from napari_cosynth.training.run_folder import RECIPE, Run

PAUSED = 130
"""The exit code of a command that was stopped by Ctrl-C."""
_CODE = (
    "import sys\n"
    "from napari_cosynth.training.own.aside import stop_with_input\n"
    "stop_with_input()\n"
    "from napari_cosynth.cli import main\n"
    "sys.exit(main(sys.argv[1:]))"
)
_TAIL = 4096
"""Bytes of the log in which its last line is looked for."""


def stop_with_input() -> None:
    """From now on the end of this process' input is a Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have it ignored
    threading.Thread(target=_wait_for_end, daemon=True).start()


def _wait_for_end() -> None:
    # Not sys.stdin: its lock would be held when the interpreter ends.
    while os.read(0, 1):
        pass
    _thread.interrupt_main(signal.SIGINT)


def begin_arguments(
    recipe: Path, data: Path, out: Path, init: str | None, device: str
) -> list[str]:
    """What ``cosynth`` is given to begin a run."""
    start = ["--init", init] if init else []
    return [
        "train",
        str(recipe),
        "--data",
        str(data),
        "--out",
        str(out),
        "--device",
        device,
        *start,
    ]


def resume_arguments(run: Run, device: str) -> list[str]:
    """What ``cosynth`` is given to go on with a run. Raises ValueError where its data are not told."""
    if run.start is None:
        raise ValueError(f"{run.folder}: does not tell its data: resume it by cosynth train")
    recipe, start = run.folder / RECIPE, run.start
    arguments = begin_arguments(recipe, Path(start.data), run.folder, start.init, device)
    return [*arguments, "--resume"]


class Aside:
    """A ``cosynth`` command in a process of its own; what it says goes to a file."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CODE, *arguments],
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
                # A Ctrl-C in the parent's shell is not for it: it is told by its input.
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Stops it after the step; it may take a moment until its state is written."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def wait(self, seconds: float | None = None) -> int:
        """Its exit code, when it is there. Raises subprocess.TimeoutExpired."""
        return self._process.wait(seconds)

    def last_line(self) -> str:
        """What it said last."""
        return last_line(self.log)


def last_line(log: Path) -> str:
    """The last line of a log, without the command's name; empty where there is none."""
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, log.stat().st_size - _TAIL))
            text = handle.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
    return lines[-1].removeprefix("cosynth train: ").removeprefix("cosynth: ") if lines else ""
