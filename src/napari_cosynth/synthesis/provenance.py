"""Provenance of a sample, stored in its recipe: weights, device, precision, versions."""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata
from typing import Any

import torch

import napari_cosynth
from napari_cosynth.model.checkpoint import Checkpoint
from napari_cosynth.model.precision import faster_in_bf16
from napari_cosynth.types import Request


def provenance_of(checkpoint: Checkpoint, request: Request, device: torch.device) -> dict[str, Any]:
    """The provenance of a request's samples, JSON-ready.

    ``unknown_words`` are the words of the prompt that the text encoder does not know.
    """
    return {
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": checkpoint.sha256,
        "device": str(device),
        "precision": "bfloat16" if faster_in_bf16(device) else "float32",
        "threads": torch.get_num_threads() if device.type == "cpu" else None,
        "unknown_words": checkpoint.model.text.unknown(request.prompt),
        "versions": package_versions(),
    }


def package_versions() -> dict[str, str]:
    """Versions of the packages that a sample's pixels may depend on."""
    packages = ("torch", "numpy", "scikit-image", "transformers")
    return {
        "napari-cosynth": napari_cosynth.__version__,
        **{name: _version(name) for name in packages},
    }


_version = lru_cache(metadata.version)
"""Version of a package; kept, since reading it takes milliseconds and every sample states it."""
