"""Plans: frozen dataclasses, read from TOML files, that decide every sample of a data set."""

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
"""Fields of :class:`napari_cosynth.types.Report` whose ids the quality filter counts."""
IMAGES = "images:"
"""Prefix of a plan's look that names a folder of images."""
LARGEST_SHARD = 2**30
"""Largest size of a shard's arrays in bytes; they are in memory together when the shard is written."""
BYTES_PER_PIXEL = 12
"""Bytes of image, labels, instances and distance together."""


@dataclass(frozen=True)
class DatasetLayouts:
    """Layouts of annotated tiles, of whole tiles or of crops of the plan's shape."""

    __pydantic_config__ = FORBID_UNKNOWN

    source: Literal["dataset"]
    kind: str
    """A data set of the registry."""
    root: str
    """Its folder, relative to the data folder."""
    weight: float = 1.0
    """Share of the samples with a layout from this source, relative to the other sources' weights."""
    cut: Literal["crops", "whole"] = "crops"
    stride: int | None = None
    """Largest distance between the starts of neighbouring crops, in pixels. None: the plan's shape, which
    gives the fewest crops that cover a tile."""
    classes: dict[str, str] = field(default_factory=dict)
    """The checkpoint's class name for each class name of the data set, where they differ."""
    only: tuple[str, ...] = ()
    """Names of the tiles to use; empty: all."""
    without: tuple[str, ...] = ()
    """Names of tiles to leave out."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the reader: mpp, tissue, tissues, ..."""


@dataclass(frozen=True)
class FolderLayouts:
    """A folder of layouts as napari's Points CSV, each of the plan's shape."""

    __pydantic_config__ = FORBID_UNKNOWN

    source: Literal["folder"]
    root: str
    """The folder, relative to the data folder; every ``*.csv`` in it is a layout."""
    weight: float = 1.0
    tissue: str = ""
    """Tissue of all these layouts; empty: they serve any organ."""


@dataclass(frozen=True)
class ModelLayouts:
    """A layout model, which draws a new layout for each sample, for any organ that it knows."""

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
    """Share of each class; classes that are not named divide the rest as they do without a target."""
    method: Literal["choose", "relabel", "counts"] = "choose"
    """``choose`` draws layouts with many nuclei of the wanted classes more often; ``relabel`` changes the
    class of some nuclei of too frequent classes; ``counts`` tells a layout model how many nuclei of each
    class to place."""

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
    """The quality filter: limits of a kept sample, as counts of its report per point; None: no limit."""

    __pydantic_config__ = FORBID_UNKNOWN

    missed: float | None = None
    """Largest share of points without a nucleus."""
    spurious: float | None = None
    """Largest number of nuclei without a point, per point."""
    merged: float | None = None
    """Largest share of nuclei with more than one peak in the distance map."""
    flagged: float | None = None
    """Largest share of nuclei whose majority class is not their point's."""
    pale: float | None = None
    """Largest share of nuclei with no more haematoxylin than their surroundings."""
    small: float | None = None
    """Largest share of nuclei with less than half their class' usual area."""
    attempts: int = 1
    """Largest number of samples that are drawn, each with the next seed, until one is kept."""

    def __post_init__(self) -> None:
        for name in MEASURES:
            limit = getattr(self, name)
            if limit is not None and not (math.isfinite(limit) and limit >= 0):
                raise ValueError(f"{name}: expected a share of 0 or more, got {limit}")
        if not 1 <= self.attempts <= 100:
            raise ValueError(f"attempts: expected 1..100, got {self.attempts}")


@dataclass(frozen=True)
class Plan:
    """Everything that decides a data set; sample ``i`` depends on the plan and ``i`` alone."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: str
    samples: int
    """Number of samples to make; those that the quality filter rejects are missing from the shards."""
    shape: tuple[int, int]
    """(H, W) of every sample in pixels of the checkpoint's grid."""
    layouts: tuple[Source, ...]
    seed: int = 0
    """Sample ``i`` has the seed ``seed + i * attempts``, and the next ones where it is drawn again."""
    per_layout: int = 1
    """Number of samples of each layout; they have consecutive numbers."""
    turns: bool = True
    """Whether each layout takes one of its eight orientations (four where it is not square)."""
    organs: dict[str, float] = field(default_factory=dict)
    """Weight of each organ; empty: the organs of the layouts as they come."""
    balance: Balance | None = None
    quality: Quality = field(default_factory=Quality)
    stain: str = H_AND_E
    checkpoint: str = "default"
    """Name of a bundled checkpoint, or the path of a checkpoint folder."""
    sampler: str = ""
    """Empty: the checkpoint's default, ``few`` where it was trained for it."""
    steps: int = 0
    """Passes of the network; 0: the sampler's default."""
    guidance: float = 1.0
    look: str = BY_SEED
    """Look of the samples: ``seed``, that of a training tile that fits tissue and layout;
    ``bank:TISSUE``, that of a training tile of this tissue; ``none``; or ``images:FOLDER``, shared out
    over the images of a folder, relative to the data folder."""
    look_mpp: float | None = None
    """µm/px of the folder's images; None: what the files say, else the checkpoint's."""
    device: str = "auto"
    threads: int = 1
    """torch's threads in each process; sums, and so the last bits of a sample, depend on it."""
    shard_size: int = 100
    """Samples of a shard, rejected ones included."""

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
    """A plan from TOML, or from the JSON of a run. Raises ValueError naming file and field."""
    path = Path(path)
    return parse(Plan, read_table(path), str(path))


def differing(one: Plan, other: Plan) -> list[str]:
    """Names of the fields in which two plans differ."""
    return [
        f.name for f in dataclasses.fields(Plan) if getattr(one, f.name) != getattr(other, f.name)
    ]
