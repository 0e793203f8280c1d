"""The sampling process: pickled calls on stdin, pickled events on stdout. It imports no Qt.

The window starts it by ``main()`` in a fresh interpreter and keeps it. So torch is imported once, no
computation shares the window's interpreter, and a sample that does not fit into memory ends this
process, not the window. Only its parent talks to it, so pickles are safe here.

A message in is a ``Call``. The messages out for each call are ``(number, event)``, and at the end
``(number, None)`` or ``(number, Failure)``. An int as message in cancels all calls up to that number.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, BinaryIO

from napari_cosynth.types import Progress, Synthesis
from napari_cosynth.widget.run.shared_arrays import Kept

SURVEYED = 20
"""Number of records, spread over a data set, that are read to count its nuclei."""


@dataclass(frozen=True)
class Call:
    """A request to the sampling process."""

    number: int
    kind: str
    """One of :data:`KINDS`."""
    arguments: bytes
    """The packed arguments of that kind (``shared_arrays``)."""


@dataclass(frozen=True)
class Failure:
    """An error and where it was raised."""

    error: Exception
    trace: str


def _events_of(function: str) -> Callable[..., Iterator[Any]]:
    """A function ``module:name`` that yields events, imported when it is called: torch is heavy."""

    def call(*arguments: Any) -> Iterator[Any]:
        module, name = function.split(":")
        events: Iterator[Any] = getattr(import_module(f"napari_cosynth.{module}"), name)(*arguments)
        return events

    return call


def _answer_of(function: str) -> Callable[..., Iterator[Any]]:
    """A function ``module:name`` whose value is the only event, imported when it is called."""

    def call(*arguments: Any) -> Iterator[Any]:
        yield _events_of(function)(*arguments)

    return call


def _survey(path: Any, kind: str | None, options: dict[str, Any]) -> Iterator[Any]:
    """A survey of a data set from some of its records, with one of them as a picture."""
    from napari_cosynth.datasets.survey import survey

    yield survey(path, kind, SURVEYED, pictures=1, **options)


def _training_recipe(
    found: Any, base: str, wishes: tuple[Any, ...], weights: int, file: Any
) -> Iterator[Any]:
    """Makes a recipe for a surveyed data set, writes it if ``file`` is a path, and yields its cost."""
    from napari_cosynth.training.config import load_recipe
    from napari_cosynth.training.own.cost import cost_of
    from napari_cosynth.training.own.proposal import propose, write_recipe

    recipe = propose(found, load_recipe(base), *wishes)
    if file is not None:
        write_recipe(recipe, file)
    yield cost_of(recipe, weights)


def _training_cost(recipe: Any, weights: int) -> Iterator[Any]:
    """The cost of a recipe."""
    from napari_cosynth.training.config import load_recipe
    from napari_cosynth.training.own.cost import cost_of

    yield cost_of(load_recipe(recipe), weights)


def _warm_up(checkpoint: str, device: str) -> Iterator[Progress | Synthesis]:
    """Imports torch and reads the weights before they are needed; does not sample."""
    from napari_cosynth.model.precision import choose_device
    from napari_cosynth.synthesis.preparation import open_checkpoint

    open_checkpoint(checkpoint, choose_device(device))
    return iter(())


KINDS: dict[str, Callable[..., Iterator[Any]]] = {
    "synthesize": _events_of("synthesis.synthesize:synthesize"),
    "resynthesize": _events_of("synthesis.resynthesize:resynthesize"),
    "inpaint": _events_of("synthesis.inpaint:inpaint"),
    "repaint": _events_of("synthesis.repaint:repaint_around"),
    "warm up": _warm_up,
    "look of": _answer_of("model.looks:look_of"),
    "look from": _answer_of("synthesis.looks:look_from"),
    "survey": _survey,
    "training recipe": _training_recipe,
    "training cost": _training_cost,
}
ASIDE = frozenset({"look of", "look from", "survey", "training recipe", "training cost"})
"""Short calls that are answered at once, beside a running sample; they are not cancelled with it."""


class Server:
    """Answers calls in order until stdin ends; those of ``ASIDE`` at once."""

    def __init__(self, source: BinaryIO, target: BinaryIO) -> None:
        self._source = source
        self._target = target
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._cancelled = -1
        self._kept = Kept()
        self._sending = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def run(self) -> None:
        while (call := self._calls.get()) is not None:
            self._answer(call)

    def _listen(self) -> None:
        try:
            while True:
                message = pickle.load(self._source)
                if isinstance(message, int):
                    self._cancelled = max(self._cancelled, message)
                elif message.kind in ASIDE:
                    threading.Thread(target=self._answer, args=(message,), daemon=True).start()
                else:
                    self._calls.put(message)
        except (EOFError, OSError):
            self._cancelled = sys.maxsize
            self._calls.put(None)

    def _answer(self, call: Call) -> None:
        last: Failure | None = None
        try:
            number = sys.maxsize if call.kind in ASIDE else call.number
            if number > self._cancelled:
                for event in KINDS[call.kind](*self._kept.read(call.arguments)):
                    if number <= self._cancelled:
                        break
                    self._kept.add(call.number, event)
                    self._send(call.number, event)
        except Exception as error:  # the parent handles every error
            last = Failure(_plain(error), traceback.format_exc())
        self._send(call.number, last)

    def _send(self, number: int, event: object) -> None:
        try:
            with self._sending:
                pickle.dump((number, event), self._target, protocol=5)
                self._target.flush()
        except BrokenPipeError:
            self._cancelled = sys.maxsize


def _plain(error: Exception) -> Exception:
    """The error itself if it can be pickled, else a RuntimeError with the same text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # pickling can raise any error
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


NICENESS = 5
"""Lowers this process' priority, so that the window goes first if both want the same core."""


def main() -> None:
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    # Printed text must not land between two messages.
    target = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    Server(sys.stdin.buffer, target).run()
