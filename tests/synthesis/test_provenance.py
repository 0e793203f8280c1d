"""What a recipe says of the machine that made a sample."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import torch

import napari_cosynth
from napari_cosynth.model.checkpoint import load
from napari_cosynth.synthesis.provenance import provenance_of
from napari_cosynth.types import Layout, Request


def test_threads_are_a_cpu_s(tiny_checkpoint: Path, layout: Layout) -> None:
    checkpoint = load(tiny_checkpoint)
    request = Request(layout, "colon zebra", str(tiny_checkpoint))
    facts = provenance_of(checkpoint, request, torch.device("cpu"))
    assert facts["device"] == "cpu" and facts["threads"] == torch.get_num_threads()
    assert facts["checkpoint"] == "tiny" and facts["checkpoint_sha256"] == checkpoint.sha256
    assert facts["unknown_words"] == ["zebra"]
    assert facts["versions"] == {
        "napari-cosynth": napari_cosynth.__version__,
        **{n: metadata.version(n) for n in ("torch", "numpy", "scikit-image", "transformers")},
    }
    other = provenance_of(checkpoint, request, torch.device("meta"))
    assert (other["device"], other["threads"], other["precision"]) == ("meta", None, "float32")
