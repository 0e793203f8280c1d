"""The sampling process: the same pixels as in a thread, cancelled, and outlived."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_cosynth.types import Layout, Progress, Request, Synthesis
from napari_cosynth.widget.run.backend import InProcess, InThread


@pytest.fixture(scope="module")
def backend() -> Iterator[InProcess]:
    made = InProcess()
    yield made
    made.close()


def request_of(layout: Layout, checkpoint: Path, steps: int = 2) -> Request:
    return Request(layout, "tissue", str(checkpoint), steps=steps, device="cpu")


def test_a_process_makes_the_same_pixels(
    backend: InProcess, layout: Layout, tiny_checkpoint: Path
) -> None:
    request = request_of(layout, tiny_checkpoint)
    backend.warm_up(str(tiny_checkpoint), "cpu")
    (*steps, there) = backend.call("synthesize", request)
    (*_, here) = InThread().call("synthesize", request)
    assert [type(s) for s in steps] == [Progress, Progress]
    assert isinstance(there, Synthesis) and isinstance(here, Synthesis)
    np.testing.assert_array_equal(there.record.image, here.record.image)


def test_an_error_arrives_with_where_it_was_raised(
    backend: InProcess, layout: Layout, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="no checkpoint folder there") as caught:
        list(backend.call("synthesize", request_of(layout, tmp_path / "none")))
    assert "in locate" in str(caught.value.__cause__)


def test_a_cancelled_call_ends_and_the_next_is_answered(
    backend: InProcess, layout: Layout, tiny_checkpoint: Path
) -> None:
    events = backend.call("synthesize", request_of(layout, tiny_checkpoint, steps=1000))
    next(events)
    threading.Thread(target=backend.cancel).start()
    assert len(list(events)) < 999
    (*_, last) = backend.call("synthesize", request_of(layout, tiny_checkpoint))
    assert isinstance(last, Synthesis)


def test_a_process_that_dies_is_said_and_replaced(
    backend: InProcess, layout: Layout, tiny_checkpoint: Path
) -> None:
    events = backend.call("synthesize", request_of(layout, tiny_checkpoint, steps=1000))
    next(events)
    assert backend._server is not None
    os.kill(backend._server.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="ended unexpectedly"):
        list(events)
    (*_, last) = backend.call("synthesize", request_of(layout, tiny_checkpoint))
    assert isinstance(last, Synthesis)
