"""Plans: TOML files -> frozen dataclasses that decide every sample of a data set."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from napari_cosynth.io.settings import FORBID_UNKNOWN, parse, read_table
from napari_cosynth.types import H_AND_E
from napari_cosynth.types.recipe import BANK, BY_SEED, NO_LOOK

MEASURES = ("missed", "spurious", "merged", "flagged", "pale", "small")
"""What :class:`napari_cosynth.types.Report` counts."""
IMAGES = "images:"
"""Begins a plan's look that names a folder."""
LARGEST_SHARD = 2**30
"""Bytes of a shard's arrays, which are in memory together while it is written."""
BYTES_PER_PIXEL = 12
"""Image, labels, instances and distance."""


@dataclass(frozen=True)
class DatasetLayouts:
    """Layouts of annotated tiles: whole, or in crops of the plan's shape."""

    __pydantic_config__ = FORBID_UNKNOWN

    source: Literal["dataset"]
    kind: str
    """A data set of the registry."""
    root: str
    """Its folder, relative to the data folder."""
    weight: float = 1.0
    """Share of the samples that take their layout from here."""
    cut: Literal["crops", "whole"] = "crops"
    stride: int | None = None
    """Largest distance between crops in pixels; without it the plan's shape, the fewest that cover
    a tile."""
    classes: dict[str, str] = field(default_factory=dict)
    """The data set's class names -> the checkpoint's, where they differ."""
    only: tuple[str, ...] = ()
    """Tiles by name; without it all of them."""
    without: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the reader: mpp, tissue, tissues, ..."""


@dataclass(frozen=True)
class FolderLayouts:
    """A folder of layouts as napari's Points CSV, each of the plan's shape."""

    __pydantic_config__ = FORBID_UNKNOWN

    source: Literal["folder"]
    root: str
    """Relative to the data folder; every ``*.csv`` in it is a layout."""
    weight: float = 1.0
    tissue: str = ""
    """Of all of them; without it they serve any organ."""


@dataclass(frozen=True)
class ModelLayouts:
    """A layout model: a fresh layout each time, of any organ it knows."""

    __pydantic_config__ = FORBID_UNKNOWN

    source: Literal["model"]
    path: str
    """The model's file, relative to the data folder, or the name of a bundled one."""
    weight: float = 1.0


Source: TypeAlias = Annotated[
    DatasetLayouts | FolderLayouts | ModelLayouts, Field(discriminator="source")
]


@dataclass(frozen=True)
class Balance:
    """The shares of the classes among all nuclei of the data set."""

    __pydantic_config__ = FORBID_UNKNOWN

    target: dict[str, float]
    """Class -> its share; classes that are not named divide the rest as they do without a target."""
    method: Literal["choose", "relabel", "counts"] = "choose"
    """``choose`` draws layouts rich in what is wanted more often; ``relabel`` gives some nuclei of
    classes that are too frequent another class; ``counts`` tells a layout model how many to place."""

    def __post_init__(self) -> None:
        if not self.target:
            raise ValueError("target: expected at least one class")
        for name, share in self.target.items():
            if not (math.isfinite(share) and 0 <= share <= 1):
                raise ValueError(f"target: {name}: expected a share in 0..1, got {share}")
        if sum(self.target.values()) > 1 + 1e-9:
            raise ValueError(
                f"target: expected shares of at most 1 in all, got {sum(self.target.values()):g}"
            )


@dataclass(frozen=True)
class Quality:
    """Which samples are kept. A share is the report's count over the number of points."""

    __pydantic_config__ = FORBID_UNKNOWN

    missed: float | None = None
    """Largest share of points without a nucleus; none: any."""
    spurious: float | None = None
    """Largest number of nuclei without a point, per point."""
    merged: float | None = None
    flagged: float | None = None
    pale: float | None = None
    """Largest share of nuclei without more haematoxylin than around them, per point."""
    small: float | None = None
    """Largest share of nuclei of less than half their class' usual area, per point."""
    attempts: int = 1
    """Samples drawn, each with the next seed, until one is kept; 1 rejects without another try."""

    def __post_init__(self) -> None:
        for name in MEASURES:
            limit = getattr(self, name)
            if limit is not None and not (math.isfinite(limit) and limit >= 0):
                raise ValueError(f"{name}: expected a share of 0 or more, got {limit}")
        if not 1 <= self.attempts <= 100:
            raise ValueError(f"attempts: expected 1..100, got {self.attempts}")


@dataclass(frozen=True)
class Plan:
    """Everything that decides a data set; sample ``i`` is a function of the plan and ``i``."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: str
    samples: int
    """Samples asked for; those that the quality filter rejects are missing from the shards."""
    shape: tuple[int, int]
    """(H, W) of every sample in pixels of the checkpoint's grid."""
    layouts: tuple[Source, ...]
    seed: int = 0
    """Sample ``i`` takes the seeds ``seed + i * attempts`` and, where it is drawn again, the next."""
    per_layout: int = 1
    """Samples of each layout, with consecutive numbers."""
    turns: bool = True
    """Each layout in one of its eight orientations (four where it is not square)."""
    organs: dict[str, float] = field(default_factory=dict)
    """Organ -> weight; without it the organs of the layouts as they come."""
    balance: Balance | None = None
    quality: Quality = field(default_factory=Quality)
    stain: str = H_AND_E
    checkpoint: str = "default"
    """Name of a bundled checkpoint, or the path of a checkpoint folder."""
    sampler: str = ""
    """Empty: the checkpoint's own, ``few`` where it was trained for it."""
    steps: int = 0
    """0: as many as the sampler usually takes."""
    guidance: float = 1.0
    look: str = BY_SEED
    """Of every sample: ``seed``, a training tile that fits tissue and layout; ``bank:TISSUE``; ``none``;
    or ``images:FOLDER``, relative to the data folder, over whose images the samples are spread."""
    look_mpp: float | None = None
    """µm/px of the folder's images; without it what the files say, else the checkpoint's."""
    device: str = "auto"
    threads: int = 1
    """Of torch in each process: sums, and so last bits, depend on it."""
    shard_size: int = 100
    """Samples asked for per shard."""

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ValueError(f"steps: expected 0 (the usual) or more, got {self.steps}")
        if self.look not in (BY_SEED, NO_LOOK) and not self.look.startswith((BANK, IMAGES)):
            raise ValueError(
                f"look: expected {BY_SEED}, {NO_LOOK}, {BANK}TISSUE or {IMAGES}FOLDER, got {self.look!r}"
            )
        for name in ("samples", "per_layout", "threads", "shard_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if min(self.shape) < 1:
            raise ValueError(f"shape: expected (H, W) above 0, got {self.shape}")
        largest = LARGEST_SHARD // (BYTES_PER_PIXEL * self.shape[0] * self.shape[1])
        if self.shard_size > max(1, largest):
            raise ValueError(
                f"shard_size: expected at most {max(1, largest)} of {self.shape[0]} x "
                f"{self.shape[1]} pixels (they are in memory together), got {self.shard_size}"
            )
        last = self.seed + self.samples * self.quality.attempts
        if not 0 <= self.seed <= last < 2**63:
            raise ValueError(f"seed: expected 0..2^63-1 up to the last sample's, got {self.seed}")
        if not self.layouts:
            raise ValueError("layouts: expected at least one source")
        weights = {f"organs: {name}": weight for name, weight in self.organs.items()}
        weights |= {f"layouts.{i}: weight": s.weight for i, s in enumerate(self.layouts)}
        for name, weight in weights.items():
            if not (math.isfinite(weight) and weight > 0):
                raise ValueError(f"{name}: expected a weight above 0, got {weight}")
        models = [isinstance(source, ModelLayouts) for source in self.layouts]
        method = self.balance.method if self.balance is not None else ""
        if method == "counts" and not all(models):
            raise ValueError(
                f"balance: method: counts needs layout models, and layouts.{models.index(False)} is "
                "none: take choose or relabel"
            )
        if method == "choose" and all(models):
            raise ValueError(
                "balance: method: layout models give no layouts to choose from: "
                "take counts or relabel"
            )

    def seeds_of(self, index: int) -> tuple[int, ...]:
        """The seeds of a sample, in the order in which they are tried."""
        first = self.seed + index * self.quality.attempts
        return tuple(range(first, first + self.quality.attempts))

    @property
    def shards(self) -> int:
        return -(-self.samples // self.shard_size)

    def members(self, shard: int) -> range:
        """The samples of a shard."""
        return range(shard * self.shard_size, min(self.samples, (shard + 1) * self.shard_size))


def load_plan(path: str | Path) -> Plan:
    """A plan from TOML, or from the JSON that a run keeps. ValueError names file and field."""
    path = Path(path)
    return parse(Plan, read_table(path), str(path))


def differing(one: Plan, other: Plan) -> list[str]:
    """The names of the fields in which two plans differ."""
    return [
        f.name for f in dataclasses.fields(Plan) if getattr(one, f.name) != getattr(other, f.name)
    ]
