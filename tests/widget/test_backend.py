"""The sampling process: the same pixels as in a thread, cancelled, and outlived."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_cosynth.geometry.box import Box
from napari_cosynth.types import Layout, Progress, Request, Synthesis
from napari_cosynth.widget.run.backend import InThread, SeparateProcess
from napari_cosynth.widget.run.shared_arrays import Kept, Named, NotKept


@pytest.fixture(scope="module")
def backend() -> Iterator[SeparateProcess]:
    made = SeparateProcess()
    yield made
    made.close()


def request_of(layout: Layout, checkpoint: Path, steps: int = 2) -> Request:
    return Request(layout, "tissue", str(checkpoint), steps=steps, device="cpu")


def test_a_process_makes_the_same_pixels(
    backend: SeparateProcess, layout: Layout, tiny_checkpoint: Path
) -> None:
    request = request_of(layout, tiny_checkpoint)
    backend.warm_up(str(tiny_checkpoint), "cpu")
    (*steps, there) = backend.call("synthesize", request)
    (*_, here) = InThread().call("synthesize", request)
    assert [type(s) for s in steps] == [Progress, Progress]
    assert isinstance(there, Synthesis) and isinstance(here, Synthesis)
    np.testing.assert_array_equal(there.record.image, here.record.image)


def edited(layout: Layout, checkpoint: Path) -> tuple[Request, Request, Box]:
    """A request on a larger canvas, the same with a point more, and where that is."""
    request = request_of(replace(layout, shape=(160, 144)), checkpoint)
    more = replace(
        request.layout,
        centroids=np.concatenate([request.layout.centroids, np.array([[120, 100]], np.float32)]),
        class_ids=np.append(request.layout.class_ids, np.uint8(1)),
    )
    return request, replace(request, layout=more), Box(120, 100, 121, 101)


def test_a_sample_is_not_sent_back_to_the_process_that_made_it(
    backend: SeparateProcess, layout: Layout, tiny_checkpoint: Path
) -> None:
    request, more, box = edited(layout, tiny_checkpoint)
    (*_, before) = backend.call("synthesize", request)
    assert isinstance(before, Synthesis) and backend._server is not None
    named = backend._server.named
    again = replace(before, request=more)  # as Live does: its arrays are the same ones
    assert len(named.packed((more, again, box))) < before.nbytes / 20
    (*_, there) = backend.call("resynthesize", more, again, box)
    (*_, here) = InThread().call("resynthesize", more, again, box)
    assert isinstance(there, Synthesis) and isinstance(here, Synthesis)
    np.testing.assert_array_equal(there.record.image, here.record.image)
    np.testing.assert_array_equal(there.raw_labels, here.raw_labels)
    # An array that the process has given up is sent after all.
    for identity, (array, (number, seed, name)) in list(named._keys.items()):
        named._keys[identity] = array, (number + 1000, seed, name)
    (*_, sent) = backend.call("resynthesize", more, again, box)
    assert isinstance(sent, Synthesis)
    np.testing.assert_array_equal(sent.record.image, here.record.image)


def test_the_newest_arrays_are_kept_and_named_while_they_live(
    layout: Layout, tiny_checkpoint: Path
) -> None:
    request, *_ = edited(layout, tiny_checkpoint)
    (*_, sample) = InThread().call("synthesize", request)
    assert isinstance(sample, Synthesis)
    kept, named = Kept(most=sample.nbytes + 1), Named()
    for number in (1, 2):
        kept.add(number, sample)
    named.add(1, sample)
    with pytest.raises(NotKept):
        kept.read(named.packed(sample))
    named.add(2, sample)
    assert kept.read(named.packed(sample)).record.image is sample.record.image
    assert named._keys
    del sample, kept
    gc.collect()
    assert not named._keys


def test_an_error_arrives_with_where_it_was_raised(
    backend: SeparateProcess, layout: Layout, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="no checkpoint folder there") as caught:
        list(backend.call("synthesize", request_of(layout, tmp_path / "none")))
    assert "in locate" in str(caught.value.__cause__)


def test_a_cancelled_call_ends_and_the_next_is_answered(
    backend: SeparateProcess, layout: Layout, tiny_checkpoint: Path
) -> None:
    events = backend.call("synthesize", request_of(layout, tiny_checkpoint, steps=1000))
    next(events)
    threading.Thread(target=backend.cancel).start()
    assert len(list(events)) < 999
    (*_, last) = backend.call("synthesize", request_of(layout, tiny_checkpoint))
    assert isinstance(last, Synthesis)


def test_a_process_that_dies_is_said_and_replaced(
    backend: SeparateProcess, layout: Layout, tiny_checkpoint: Path
) -> None:
    events = backend.call("synthesize", request_of(layout, tiny_checkpoint, steps=1000))
    next(events)
    assert backend._server is not None
    os.kill(backend._server.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="ended unexpectedly"):
        list(events)
    (*_, last) = backend.call("synthesize", request_of(layout, tiny_checkpoint))
    assert isinstance(last, Synthesis)
