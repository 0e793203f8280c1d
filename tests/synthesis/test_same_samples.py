"""Samples are what they were before the modules were laid out anew.

``before_the_move.npz`` was made by commit f41b907, one thread, float32. On the machine that made it every
byte was the same; another's kernels may round a pixel otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_cosynth.synthesis import preparation
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.types import ClassTable, Layout, Request, Synthesis

BEFORE = Path(__file__).with_name("before_the_move.npz")
PROMPT = "high-quality histopathology colon tissue image"
RUNS: dict[str, dict[str, Any]] = {
    "few": {"steps": 3, "look": tuple(0.2 + 0.01 * i for i in range(16))},
    "fast": {"steps": 4, "look": "none"},
    "ancestral": {"steps": 6, "look": "none", "guidance": 2.0},
}


@pytest.fixture
def one_thread_of_float32(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(preparation, "faster_in_bf16", lambda device: False)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("sampler", RUNS)
def test_a_seed_gives_what_it_gave(
    sampler: str, few_checkpoint: Path, classes: ClassTable, one_thread_of_float32: None
) -> None:
    centroids = np.array([[10, 12], [20, 40], [44, 18], [50, 52], [30, 30]], np.float32)
    layout = Layout(centroids, np.array([1, 2, 3, 1, 2], np.uint8), (64, 64), 0.5, classes)
    run: dict[str, Any] = {"sampler": sampler, "seeds": (7,), "device": "cpu", **RUNS[sampler]}
    request = Request(layout, PROMPT, str(few_checkpoint), **run)
    (sample,) = (e for e in synthesize(request) if isinstance(e, Synthesis))
    with np.load(BEFORE) as before:
        for name in ("image", "labels", "instances"):
            made, was = getattr(sample.record, name), before[f"{sampler}_{name}"]
            assert made.shape == was.shape
            assert (made != was).mean() < 0.01, name
        image = sample.record.image.astype(int) - before[f"{sampler}_image"]
        assert np.abs(image).max() <= 2
        distance = np.round(sample.record.distance * 255) - before[f"{sampler}_distance"]
        assert np.abs(distance).max() <= 2
