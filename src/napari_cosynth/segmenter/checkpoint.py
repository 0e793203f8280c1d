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
    """sha256 of an image's pixels, by which a tile is known again whatever its file is called."""
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


@dataclass(frozen=True)
class SegmenterDescription:
    """What ``config.json`` holds."""

    __pydantic_config__ = FORBID_UNKNOWN

    network: SegmenterConfig
    class_names: tuple[str, ...]
    """K names, the background first."""
    mpp: float
    """Micrometres per pixel of the images it was trained on."""
    training: dict[str, Any] = field(default_factory=dict)
    """Where the weights come from."""
    tiles: dict[str, str] = field(default_factory=dict)
    """Real tiles it was trained on: name -> ``pixels_digest``."""
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
    """A trained network and what it was trained for."""

    network: HoverNet
    description: SegmenterDescription
    sha256: str = ""
    """Of the weights file, where it was read from one."""


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

    Configuration and tensors are compared before any weight is allocated.
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
