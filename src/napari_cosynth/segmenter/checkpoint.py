"""Segmenter folders: ``model.safetensors`` and ``config.json``; never a pickle."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_cosynth.foreign.files import read_json
from napari_cosynth.io.atomic import replaced_folder
from napari_cosynth.io.settings import FORBID_UNKNOWN, parse, plain
from napari_cosynth.known import CONFIG
from napari_cosynth.known import WEIGHTS as WEIGHTS
from napari_cosynth.model.weights import packed_weights, read_weights, sha256_of
from napari_cosynth.segmenter.network import HoverNet, SegmenterConfig


def pixels_digest(image: npt.NDArray[np.uint8]) -> str:
    """SHA-256 of an image's pixels, hexadecimal; it identifies a tile whatever its file is called."""
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


@dataclass(frozen=True)
class SegmenterDescription:
    """The contents of ``config.json``."""

    __pydantic_config__ = FORBID_UNKNOWN

    network: SegmenterConfig
    class_names: tuple[str, ...]
    """K names, the background first."""
    mpp: float
    """Micrometres per pixel of its training images."""
    training: dict[str, Any] = field(default_factory=dict)
    """Origin of the weights: settings, seed, augmentation."""
    tiles: dict[str, str] = field(default_factory=dict)
    """``pixels_digest`` of each real training tile, by name."""
    format: int = 1

    def __post_init__(self) -> None:
        if self.format != 1:
            raise ValueError(f"format: expected 1, got {self.format} (a newer version wrote this)")
        if len(self.class_names) != self.network.classes:
            raise ValueError(
                f"class_names: expected {self.network.classes}, got {len(self.class_names)}"
            )
        if not 0 < self.mpp < 100:
            raise ValueError(f"mpp: expected micrometres per pixel in 0..100, got {self.mpp}")


@dataclass(frozen=True)
class Segmenter:
    """A trained network and its description."""

    network: HoverNet
    description: SegmenterDescription
    sha256: str = ""
    """SHA-256 of the weights file; empty where it was not read from a file."""


def save_segmenter(segmenter: Segmenter, path: Path) -> Path:
    """Writes the folder, whole or not at all; an existing one is replaced."""
    packed = packed_weights(segmenter.network.state_dict(), path)
    with replaced_folder(path, overwrite=True) as folder:
        (folder / WEIGHTS).write_bytes(packed)
        text = json.dumps(plain(segmenter.description), indent=1) + "\n"
        (folder / CONFIG).write_text(text, encoding="utf-8")
    return path


def load_segmenter(path: Path, device: torch.device | str = "cpu") -> Segmenter:
    """A segmenter in evaluation mode. Raises ValueError naming file and tensor or field.

    The tensors are compared with the configuration before any weight is allocated.
    """
    file = path / CONFIG
    description = parse(SegmenterDescription, read_json(file), str(file))
    with torch.device("meta"):
        expected = HoverNet(description.network).state_dict()
    weights = path / WEIGHTS
    tensors = read_weights(weights, expected)
    network = HoverNet(description.network)
    network.load_state_dict(tensors)
    network.eval().requires_grad_(False).to(device)
    return Segmenter(network, description, sha256_of(weights))
