"""Training recipes: frozen dataclasses read from TOML files; an unknown key is an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from napari_cosynth.diffusion.joint import LossWeights
from napari_cosynth.io.settings import FORBID_UNKNOWN, parse, read_table
from napari_cosynth.known import bundled_recipes as bundled_recipes
from napari_cosynth.known import find_recipe
from napari_cosynth.types import H_AND_E

R = TypeVar("R")


@dataclass(frozen=True)
class NormaliserConfig:
    """Stain normalisation of a data set to one of its tiles."""

    __pydantic_config__ = FORBID_UNKNOWN

    kind: str
    """A normaliser of the registry."""
    reference: str
    """Name of the tile whose colours the others take."""


@dataclass(frozen=True)
class DataConfig:
    """One data set of a recipe."""

    __pydantic_config__ = FORBID_UNKNOWN

    kind: str
    """A data set of the registry."""
    root: str
    """Folder, relative to the data folder."""
    weight: float = 1.0
    """Share of the patches that are drawn from it, relative to the other data sets' weights."""
    validation: tuple[str, ...] = ()
    """Tiles kept for validation; whole tiles, since neighbouring crops of one tile leak."""
    validation_share: float = 0.0
    """Share of the tiles to keep for validation, chosen by hashes of their names; instead of
    ``validation``."""
    excluded: tuple[str, ...] = ()
    """Tiles used neither for training nor for validation."""
    classes: dict[str, str] = field(default_factory=dict)
    """The recipe's class name for each class name of the data set."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the reader: mpp, tissue, tissues, ..."""
    normaliser: NormaliserConfig | None = None
    in_memory: bool = True
    """True: all tiles are read and prepared at the start. False: a tile is read whenever it is drawn."""

    def __post_init__(self) -> None:
        if not 0 <= self.validation_share < 1:
            raise ValueError(
                f"validation_share: expected 0 or more and below 1, got {self.validation_share}"
            )
        if self.validation and self.validation_share:
            raise ValueError("validation: expected tiles or validation_share, got both")


@dataclass(frozen=True)
class StageConfig:
    """A stretch of training on patches of one size."""

    __pydantic_config__ = FORBID_UNKNOWN

    steps: int
    crop: int
    """Side of a patch in pixels."""
    batch: int
    stride: int = 1
    """Spacing in pixels of the grid that patches lie on; 1: anywhere."""


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with linear warm-up, a constant phase that a later run can continue, and linear decay."""

    __pydantic_config__ = FORBID_UNKNOWN

    lr: float = 6e-4
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    warmup: int = 200
    decay: int = 0
    """Number of last steps over which the rate falls linearly to 2 %."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    ema: float = 0.9985
    """Decay of the weights' moving average; after n steps it is min(ema, (1 + n) / (10 + n))."""

    def rate(self, step: int, total: int) -> float:
        """Factor of the learning rate at a step; it depends on the step alone, so a resume keeps it."""
        warm = min(1.0, (step + 1) / max(1, self.warmup))
        left = (total - step) / max(1, self.decay)
        return warm * (max(0.02, min(1.0, left)) if self.decay else 1.0)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """A projected discriminator (Sauer et al. 2021): heads on frozen ImageNet features and on pixels."""

    __pydantic_config__ = FORBID_UNKNOWN

    blocks: tuple[int, ...] = (0, 2, 4, 10)
    """Blocks of the feature network, 0 to 15, that have a head."""
    magnify: int = 2
    """Factor by which the image is enlarged for the feature network."""
    width: int = 64
    """Channels of the heads, a multiple of 8."""
    pixels: float = 0.5
    """Weight of the head on pixels, 0: no such head. The other heads' weight is 1."""
    lr: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.99)

    def __post_init__(self) -> None:
        if not self.blocks or not all(0 <= b <= 15 for b in self.blocks):
            raise ValueError(f"blocks: expected numbers of 0 to 15, got {self.blocks}")
        if self.width < 8 or self.width % 8:
            raise ValueError(f"width: expected a multiple of 8, got {self.width}")


@dataclass(frozen=True)
class AdversarialConfig:
    """Adversarial post-training for the sampler ``few`` (method, section 8).

    The last ``rows`` of a batch become roll-outs: they are sampled from noise through some of the nodes,
    and the last pass has a gradient. The discriminator and the other terms judge its clean estimate.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    nodes: tuple[float, ...] = (0.999, 0.78, 0.55, 0.32)
    """Times of the passes, falling."""
    jitter: float = 0.04
    """Largest random shift of each node but the first, so that the weights also know nearby times."""
    skip: float = 0.2
    """Chance that a roll-out skips a node between its first and last, so that fewer passes work too."""
    rows: int = 2
    """Rows of a batch that become roll-outs."""
    weight: float = 0.5
    """Weight of the adversarial term: its gradient's norm over that of the denoising losses, at the last
    convolution."""
    silent: int = 80
    """First steps, in which only the discriminator learns from the roll-outs."""
    ramp: int = 150
    """Steps after these, over which the adversarial term grows to its weight."""
    area: float = 0.3
    """Weight of the relative error of each class' area, compared with the real patch."""
    look: float = 0.3
    """Weight of the error of the estimate's look, in standard deviations."""
    power: float = 0.5
    """Weight of the error of the log power in four bands, compared with the real patch."""
    separation: float = 0.0
    """Weight of the error of the nuclei's contrast in haematoxylin, in standard deviations, compared with
    the real patch."""
    teacher: str = ""
    """Checkpoint, by bundled name or path, whose clean estimates a smaller network learns; empty: none.

    They are of the last state of each roll-out."""
    distillation: float = 5.0
    """Weight of the difference from the teacher's estimates."""
    look_rate: float = 10.0
    """Factor of the learning rate of the look's layer."""
    look_dropout: float = 0.1
    """Share of the rows that get no look."""
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)

    def __post_init__(self) -> None:
        if not self.nodes or list(self.nodes) != sorted(set(self.nodes), reverse=True):
            raise ValueError(f"nodes: expected falling times, got {self.nodes}")
        if not (self.nodes[-1] - self.jitter > 0 and self.nodes[0] < 1):
            raise ValueError(f"nodes: expected times between 0 and 1, got {self.nodes}")
        if self.rows < 1:
            raise ValueError(f"rows: expected at least 1, got {self.rows}")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: str
    mpp: float
    classes: tuple[str, ...]
    """Class names without the background."""
    data: tuple[DataConfig, ...]
    stages: tuple[StageConfig, ...]
    network: dict[str, Any] = field(default_factory=lambda: {"preset": "compact"})
    """``preset`` and the fields of the network's configuration that differ from the preset."""
    text: dict[str, Any] = field(default_factory=lambda: {"kind": "compact"})
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loss: LossWeights = field(default_factory=LossWeights)
    adversarial: AdversarialConfig | None = None
    """Post-training for the sampler ``few``; None: the model is trained as a denoiser only."""
    seed: int = 0
    text_dropout: float = 0.1
    point_dropout: float = 0.0
    """Share of the patches whose points are hidden while their labels stay; a model trained so can also
    be sampled without points."""
    stain_jitter: float = 0.0
    scale_jitter: float = 0.0
    class_balance: float = 0.0
    """Share of the patches that are drawn around a nucleus, with all classes equally likely; needs all
    data sets in memory."""
    stains: tuple[str, ...] = (H_AND_E,)
    precision: Literal["auto", "32", "bf16"] = "auto"
    validate_every: int = 250
    """Steps from one validation, with its sample grid and checkpoint, to the next."""
    validation_patches: int = 32
    validation_crop: int = 128
    sample_layouts: int = 4
    sample_shape: int = 256
    sample_steps: int = 10
    sample_guidance: float = 1.0
    sampler: str = "fast"
    """Sampler of the sample grids; the ``sample_`` fields are theirs, too."""
    licence: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        if not self.data:
            raise ValueError("data: expected at least one data set")
        if not self.stages:
            raise ValueError("stages: expected at least one")
        for name in ("text_dropout", "point_dropout", "class_balance"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected a share of 0 to 1, got {getattr(self, name)}")
        lazy = [d.root for d in self.data if not d.in_memory]
        if self.class_balance and lazy:
            raise ValueError(f"class_balance: expected data in memory, {lazy[0]!r} is not")
        for stage in self.stages:
            if min(stage.steps, stage.crop, stage.batch, stage.stride) < 1:
                raise ValueError(
                    f"stages: expected steps, crop, batch and stride above 0, got {stage}"
                )
            if self.adversarial and stage.batch <= self.adversarial.rows:
                raise ValueError(
                    f"adversarial.rows: expected fewer than a batch of {stage.batch}, "
                    f"got {self.adversarial.rows}"
                )

    @property
    def total_steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    def stage_at(self, step: int) -> StageConfig:
        """The stage that a step belongs to; the last stage for steps past the end."""
        for stage in self.stages:
            if step < stage.steps:
                return stage
            step -= stage.steps
        return self.stages[-1]


def load_recipe(name: str | Path) -> Recipe:
    """A recipe by bundled name or by path, TOML or the JSON in a run's folder.

    Raises ValueError naming file and field.
    """
    return read_recipe(Recipe, name, bundled_recipes())


def read_recipe(kind: type[R], name: str | Path, bundled: Mapping[str, Path]) -> R:
    """A recipe of type ``kind`` by bundled name or path. Raises ValueError naming file and field."""
    path = find_recipe(name, bundled)
    return parse(kind, read_table(path), str(path))
