"""Samples and a program that is killed while it writes them, for tests of sessions."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from napari_cosynth.geometry.raster import distance_map
from napari_cosynth.types import Layout, Record, Report, Request, Synthesis
from napari_cosynth.widget.gallery.stored_runs import StoredRun
from napari_cosynth.widget.layers.placement import Placement

PLACEMENT = Placement((64, 64), 0.5, 0.25, (3.0, -2.0), "millimeter")


def made(layout: Layout, seed: int = 0) -> Synthesis:
    """A sample of the layout's shape; nothing was computed for it."""
    rng = np.random.default_rng(seed)
    instances = np.zeros(layout.shape, np.int32)
    for row, (y, x) in enumerate(layout.centroids.astype(int)):
        instances[y - 2 : y + 3, x - 2 : x + 3] = row + 1
    labels = np.concatenate([[0], layout.class_ids]).astype(np.uint8)[instances]
    image = rng.integers(0, 256, (*layout.shape, 3)).astype(np.uint8)
    distance = distance_map(instances)
    record = Record(image, instances, labels, distance, layout, layout.mpp, "colon", "here")
    request = Request(layout, "a prompt", seeds=(seed,), tissue="colon")
    return Synthesis(record, request, seed, Report(), labels)


KILLED = """
import pickle, sys, time
from pathlib import Path
from napari_cosynth.widget.gallery.session import Session
root, samples, placement = pickle.load(sys.stdin.buffer)
session = Session(root)
for sample in samples:
    session.add(sample, "gland", placement)
print("written", flush=True)
while True:
    session.add(samples[0], "gland", placement)
"""


KILLED_WITH_RUNS = """
import pickle, sys, time
from pathlib import Path
from napari_cosynth.widget.gallery.session import Session
root, runs = pickle.load(sys.stdin.buffer)
session = Session(root)
session.keep_runs(runs)
print("written", flush=True)
while True:
    session.keep_runs(runs)
"""


def kill_while_keeping(root: Path, runs: list[StoredRun]) -> None:
    """Another program whose queue is ``runs``, and which is killed while it writes it again."""
    _kill_after_writing(KILLED_WITH_RUNS, (root, runs))


def kill_while_writing(root: Path, samples: list[Synthesis]) -> None:
    """Another program that writes these samples, and is killed while it writes more of them."""
    _kill_after_writing(KILLED, (root, samples, PLACEMENT))


def _kill_after_writing(program: str, given: object) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        pickle.dump(given, process.stdin)
        process.stdin.close()
        assert process.stdout.readline().strip() == b"written"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
