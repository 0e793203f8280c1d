"""Checkpoint folders: ``model.safetensors``, ``config.json``, ``README.md``; never a pickle."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_cosynth import registry
from napari_cosynth.foreign.files import read_json
from napari_cosynth.io.errors import one_line
from napari_cosynth.io.settings import FORBID_UNKNOWN, parse, plain
from napari_cosynth.known import BUNDLED as BUNDLED
from napari_cosynth.known import CONFIG as CONFIG
from napari_cosynth.known import WEIGHTS as WEIGHTS
from napari_cosynth.known import available as available
from napari_cosynth.known import locate as locate
from napari_cosynth.known import own as own
from napari_cosynth.model.looks import LOOKS, LookScale, TileLook, read_bank
from napari_cosynth.model.text import TextEncoder
from napari_cosynth.model.unet import JointUNet, NetworkConfig
from napari_cosynth.model.weights import packed_weights, read_weights, sha256_of
from napari_cosynth.types import H_AND_E, ClassTable

logger = logging.getLogger(__name__)

CARD = "README.md"
_LARGEST_WIDTH = 8192


@dataclass(frozen=True)
class CheckpointConfig:
    """The contents of ``config.json``."""

    __pydantic_config__ = FORBID_UNKNOWN

    network: NetworkConfig
    text: dict[str, Any]
    """``kind``, a name of the registry's text encoders, and that encoder's arguments."""
    class_names: tuple[str, ...]
    class_colors: tuple[tuple[int, int, int], ...]
    mpp: float
    """Micrometres per pixel of the grid that the model samples on."""
    tissues: tuple[str, ...] = ()
    """Tissues that it was trained on."""
    stains: tuple[str, ...] = (H_AND_E,)
    nodes: tuple[float, ...] = ()
    """Times of the passes of the sampler ``few``, falling; empty where the weights were not trained
    for it."""
    look: LookScale | None = None
    """Scale that standardises looks; None for a network that takes no look."""
    areas: dict[str, float] = field(default_factory=dict)
    """Median area in µm² of each class's nuclei on the training tiles, by class name; classes without
    nuclei are left out."""
    training: dict[str, Any] = field(default_factory=dict)
    """Origin of the weights: recipe, steps, data, hours."""
    licence: str = ""
    tiles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of its training tiles by data set ("KIND ROOT"), including those of the checkpoint that its
    training started from; empty where an earlier version wrote it."""
    format: int = 1

    def __post_init__(self) -> None:
        if self.format != 1:
            raise ValueError(f"format: expected 1, got {self.format} (a newer version wrote this)")
        if len(self.class_names) != self.network.classes:
            raise ValueError(
                f"class_names: expected {self.network.classes}, got {len(self.class_names)}"
            )
        if any(not 0 < t < 1 for t in self.nodes) or list(self.nodes) != sorted(
            set(self.nodes), reverse=True
        ):
            raise ValueError(f"nodes: expected falling times between 0 and 1, got {self.nodes}")
        known = 0 if self.look is None else len(self.look.mean)
        if self.network.look != known:
            raise ValueError(
                f"network.look: expected {known}, as many numbers as look has means, "
                f"got {self.network.look}"
            )
        for name, area in self.areas.items():
            if name not in self.class_names[1:]:
                raise ValueError(f"areas: {name!r} is no class of class_names")
            if not (area > 0 and math.isfinite(area)):
                raise ValueError(f"areas: {name}: expected µm² above 0, got {area}")
        if not 0 < self.mpp < 100:
            raise ValueError(f"mpp: expected micrometres per pixel in 0..100, got {self.mpp}")

    @property
    def classes(self) -> ClassTable:
        import numpy as np

        return ClassTable(self.class_names, np.array(self.class_colors, np.uint8))


class Model(nn.Module):
    """A denoising network and its text encoder; they are trained, saved and loaded together."""

    def __init__(self, network: JointUNet, text: TextEncoder) -> None:
        super().__init__()
        self.network = network
        self.text = text


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint."""

    model: Model
    config: CheckpointConfig
    name: str
    path: Path
    sha256: str
    """SHA-256 of the weights file, hexadecimal."""

    @property
    def classes(self) -> ClassTable:
        return self.config.classes

    @cached_property
    def bank(self) -> tuple[TileLook, ...]:
        """Looks of its training tiles; read once, since every seed draws from them."""
        return read_bank(self.path)


def build(config: CheckpointConfig) -> Model:
    """An untrained model of this configuration. Raises ValueError where the configuration is absurd."""
    network = config.network
    if max(*network.widths, network.text_width, network.point_channels) > _LARGEST_WIDTH:
        raise ValueError(f"network.widths: expected at most {_LARGEST_WIDTH}, got {network.widths}")
    if max(network.blocks) > 64 or network.point_blocks > 64 or network.patch > 16:
        raise ValueError("network.blocks: expected at most 64")
    options = dict(config.text)
    try:
        encoder = registry.resolve("text-encoder", str(options.pop("kind", None)))(**options)
    except TypeError as error:
        raise ValueError(f"text: {error}") from None
    if encoder.width != network.text_width:
        raise ValueError(
            f"text: the encoder's width {encoder.width} is not the network's {network.text_width}"
        )
    return Model(JointUNet(network), encoder)


def read_config(path: str | Path) -> CheckpointConfig:
    """The configuration of a checkpoint folder or name, without its weights.

    A text encoder is looked for on this machine whatever the file says: a checkpoint from elsewhere
    sends nobody to a network.
    """
    file = locate(path) / CONFIG
    if not file.is_file():
        raise ValueError(f"{path}: no checkpoint: expected a folder with {CONFIG} and {WEIGHTS}")
    config = parse(CheckpointConfig, read_json(file), str(file))
    return replace(config, text={k: v for k, v in config.text.items() if k != "local_only"})


def load(name: str | Path) -> Checkpoint:
    """A checkpoint on the CPU in float32, in evaluation mode.

    Raises ValueError naming file and tensor where the folder is missing, damaged or hostile. The tensors
    are compared with the configuration before any weight is allocated, and nothing is unpickled.
    """
    path = locate(name)
    config = read_config(path)
    file = path / WEIGHTS
    try:
        with torch.device("meta"):
            model = build(config)
        expected = {k: v for k, v in model.state_dict().items() if _stored(k, model.text)}
        tensors = read_weights(file, expected)
    except Exception as error:  # for impossible sizes torch raises exceptions of any type
        message = str(error) if isinstance(error, ValueError) else one_line(error)
        raise ValueError(
            message if str(path) in message else f"{path / CONFIG}: {message}"
        ) from None
    model = build(config)
    model.load_state_dict(tensors, strict=False)
    model.eval().requires_grad_(False)
    model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Checkpoint(model, config, path.name, path, sha256_of(file))


def _stored(key: str, text: TextEncoder) -> bool:
    """Whether a checkpoint stores this tensor; those of a pretrained text encoder are left out."""
    return not key.startswith("text.") or not getattr(text, "pretrained", False)


def save(
    model: Model,
    config: CheckpointConfig,
    path: str | Path,
    card: str,
    half: bool = True,
    bank: Sequence[TileLook] = (),
) -> Path:
    """Writes a checkpoint folder, whole or not at all; an existing one is replaced.

    ``card`` is the model card in Markdown; ``half`` stores float16, which halves the file; ``bank`` is
    the looks of the training tiles.
    """
    from napari_cosynth.io.atomic import replaced_folder

    stored = {k: v for k, v in model.state_dict().items() if _stored(k, model.text)}
    packed = packed_weights(stored, path, torch.float16 if half else torch.float32)
    with replaced_folder(Path(path), overwrite=True) as folder:
        # Written by us and not by safetensors, so that a full disk raises a plain OSError.
        (folder / WEIGHTS).write_bytes(packed)
        (folder / CONFIG).write_text(json.dumps(plain(config), indent=1) + "\n", encoding="utf-8")
        (folder / CARD).write_text(card, encoding="utf-8")
        if bank:
            rows = ",\n ".join(json.dumps(plain(tile), ensure_ascii=False) for tile in bank)
            (folder / LOOKS).write_text(f"[\n {rows}\n]\n", encoding="utf-8")
    return Path(path)
