"""Recipes of ``cosynth downstream``: segmenters, and the training data of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from napari_cosynth.io.errors import one_of
from napari_cosynth.io.settings import FORBID_UNKNOWN
from napari_cosynth.known import downstream_recipes
from napari_cosynth.training.config import read_recipe
from napari_cosynth.training.segmenter import SegmenterSettings

Source = Literal["points", "labels", "perturbed", "no points"]
"""Origin of synthetic images:

- ``points``: image and labels, sampled from the points of the real tiles;
- ``labels``: images, sampled for the labels of the real tiles;
- ``perturbed``: likewise, for perturbed copies of these labels;
- ``no points``: image and labels, sampled without points."""


@dataclass(frozen=True)
class SplitConfig:
    """Names of tiles in three parts; no tile may be in two of them."""

    __pydantic_config__ = FORBID_UNKNOWN

    diffusion: tuple[str, ...]
    """Training tiles of the diffusion model; they are used for nothing else."""
    segmenter: tuple[str, ...]
    """Training tiles of the segmenters; synthetic images are sampled from their points and labels."""
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        parts = {"diffusion": self.diffusion, "segmenter": self.segmenter, "test": self.test}
        owner: dict[str, str] = {}
        for part, names in parts.items():
            for name in names:
                if name in owner:
                    raise ValueError(f"{part}: tile {name!r} is in {owner[name]} too")
                owner[name] = part
        for part in ("segmenter", "test"):
            if not parts[part]:
                raise ValueError(f"{part}: expected at least one tile")


@dataclass(frozen=True)
class DownstreamData:
    """The data set whose tiles are split."""

    __pydantic_config__ = FORBID_UNKNOWN

    kind: str
    """A data set of the registry."""
    root: str
    """Folder, relative to the data folder."""
    classes: dict[str, str] = field(default_factory=dict)
    """The recipe's class name for each class name of the data set."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the reader: mpp, tissue, ..."""


@dataclass(frozen=True)
class SamplingConfig:
    """The sampling of synthetic sets."""

    __pydantic_config__ = FORBID_UNKNOWN

    checkpoint: str = ""
    """The diffusion model: a name, or a folder relative to the run's folder. The bundled model is no
    default, since it was trained on tiles that the test needs."""
    checkpoint_without_points: str = ""
    """The model for the source ``no points``, trained with ``point_dropout``; empty: ``checkpoint``."""
    sampler: str = ""
    """Empty: the checkpoint's default, ``few`` where it was trained for it."""
    steps: int = 0
    """Passes of the network; 0: the sampler's default."""
    guidance: float = 1.0
    shape: int = 256
    """Side of a sample in pixels; patches of this size cover the tiles."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 0 or self.shape < 1:
            raise ValueError("sampling: expected steps of 0 or more and a shape above 0")


@dataclass(frozen=True)
class Arm:
    """One way to train a segmenter; every arm has the same number of optimiser steps."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: str
    real: bool = True
    """Whether the segmenter is trained on the real tiles."""
    augmented: bool = True
    """Whether its patches are augmented: turns, flips, stain jitter, blur and noise."""
    source: Source | None = None
    """Origin of its synthetic images; None: there are none."""
    copies: int = 1
    """Number of synthetic sets, each with other seeds; a set has one patch for each real patch."""

    def __post_init__(self) -> None:
        if not self.name or any(c not in _PLAIN for c in self.name):
            raise ValueError(f"name: expected letters, digits, + and -, got {self.name!r}")
        if not self.real and self.source is None:
            raise ValueError(f"arm {self.name!r}: expected real tiles, a source, or both")
        if not 1 <= self.copies <= 100:
            raise ValueError(f"arm {self.name!r}: copies: expected 1..100, got {self.copies}")


_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-")


@dataclass(frozen=True)
class DownstreamRecipe:
    """Everything that ``cosynth downstream`` compares."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: str
    mpp: float
    classes: tuple[str, ...]
    """Class names without the background."""
    data: DownstreamData
    split: SplitConfig
    arms: tuple[Arm, ...]
    baseline: str
    """The arm that the others are compared with."""
    seeds: tuple[int, ...] = (0, 1, 2)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    segmenter: SegmenterSettings = field(default_factory=SegmenterSettings)
    notes: str = ""

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise ValueError(f"arms: names repeat in {names}")
        if self.baseline not in names:
            raise ValueError(f"baseline: {one_of(self.baseline, names)}")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds: expected different ones from 0, got {list(self.seeds)}")
        if any(arm.source for arm in self.arms) and not self.sampling.checkpoint:
            raise ValueError(
                "sampling.checkpoint: name the diffusion model that the arms sample from"
            )

    def arm(self, name: str) -> Arm:
        """The arm of this name. Raises ValueError for an unknown name, listing the known ones."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise ValueError(f"arm: {one_of(name, (arm.name for arm in self.arms))}")


def load_downstream(name: str | Path) -> DownstreamRecipe:
    """A recipe by bundled name or path. Raises ValueError naming file and field."""
    return read_recipe(DownstreamRecipe, name, downstream_recipes())
