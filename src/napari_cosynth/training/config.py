"""Recipes: TOML files -> frozen dataclasses; an unknown key is an error."""

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
    """Colours of a data set brought to those of one of its tiles."""

    __pydantic_config__ = FORBID_UNKNOWN

    kind: str
    """A normaliser of the registry."""
    reference: str
    """The tile whose colours the others take."""


@dataclass(frozen=True)
class DataConfig:
    """One data set of a recipe."""

    __pydantic_config__ = FORBID_UNKNOWN

    kind: str
    """A data set of the registry."""
    root: str
    """Folder, relative to the data folder."""
    weight: float = 1.0
    """Share of the patches drawn from it."""
    validation: tuple[str, ...] = ()
    """Tiles kept for validation; whole tiles, since neighbouring crops of one tile leak."""
    validation_share: float = 0.0
    """Instead of naming them: the share of the tiles to keep, chosen by the names' hashes."""
    excluded: tuple[str, ...] = ()
    """Tiles used for neither."""
    classes: dict[str, str] = field(default_factory=dict)
    """The data set's class names -> the recipe's."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the reader: mpp, tissue, tissues, ..."""
    normaliser: NormaliserConfig | None = None
    in_memory: bool = True
    """Read and prepare all tiles at the start; false reads each whenever it is drawn."""

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
    """Pixels a side."""
    batch: int
    stride: int = 1
    """Patches lie on a grid of so many pixels; 1 takes them anywhere."""


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW; linear warm-up, a constant phase that a later run can continue, linear decay."""

    __pydantic_config__ = FORBID_UNKNOWN

    lr: float = 6e-4
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    warmup: int = 200
    decay: int = 0
    """Steps at the end over which the rate falls linearly to 2 %."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    ema: float = 0.9985
    """The average's decay is min(ema, (1 + n) / (10 + n)) after n steps."""

    def rate(self, step: int, total: int) -> float:
        """The learning rate's factor at a step: a function of the step alone, so a resume keeps it."""
        warm = min(1.0, (step + 1) / max(1, self.warmup))
        left = (total - step) / max(1, self.decay)
        return warm * (max(0.02, min(1.0, left)) if self.decay else 1.0)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """A projected discriminator (Sauer et al. 2021): heads on frozen ImageNet features and on pixels."""

    __pydantic_config__ = FORBID_UNKNOWN

    blocks: tuple[int, ...] = (0, 2, 4, 10)
    """Blocks of the feature network, 0 to 15, with a head each."""
    magnify: int = 2
    """The image is so many times larger when the feature network sees it."""
    width: int = 64
    """Channels of the heads, a multiple of 8."""
    pixels: float = 0.5
    """Weight of the head on pixels; the others have 1, and 0 leaves it out."""
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

    The last ``rows`` of a batch become roll-outs: sampled from noise through some of the nodes, the
    last pass with gradient; its clean estimate is what the discriminator and the other terms see.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    nodes: tuple[float, ...] = (0.999, 0.78, 0.55, 0.32)
    """Times of the passes, falling."""
    jitter: float = 0.04
    """Each node but the first moves by up to so much, so that the weights know its neighbourhood."""
    skip: float = 0.2
    """Chance of each node between the first and the last pass to be left out: fewer passes work too."""
    rows: int = 2
    weight: float = 0.5
    """Of the adversarial term: its gradient at the last convolution over the denoising losses'."""
    silent: int = 80
    """Steps at the start in which only the discriminator learns from the roll-outs."""
    ramp: int = 150
    """Steps over which the term then grows to its weight."""
    area: float = 0.3
    """Weight of the difference of each class' area from the real patch's, relative to that."""
    look: float = 0.3
    """Weight of the difference of the estimate's look from the wanted one, in standard deviations."""
    power: float = 0.5
    """Weight of the difference in power from the real patch, mean over four bands of its logarithm."""
    look_rate: float = 10.0
    """The look's layer learns so many times as fast."""
    look_dropout: float = 0.1
    """Share of the rows that are asked for no look."""
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
    """Everything a training run is made of."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: str
    mpp: float
    classes: tuple[str, ...]
    """Without the background."""
    data: tuple[DataConfig, ...]
    stages: tuple[StageConfig, ...]
    network: dict[str, Any] = field(default_factory=lambda: {"preset": "compact"})
    """``preset`` and the fields of the network's configuration that differ from it."""
    text: dict[str, Any] = field(default_factory=lambda: {"kind": "compact"})
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loss: LossWeights = field(default_factory=LossWeights)
    adversarial: AdversarialConfig | None = None
    """Post-training for the sampler ``few``; without it a model is trained as a denoiser alone."""
    seed: int = 0
    text_dropout: float = 0.1
    point_dropout: float = 0.0
    """Share of the patches whose points are hidden while their labels stay: a model that has seen
    them can also be sampled without points."""
    stain_jitter: float = 0.0
    scale_jitter: float = 0.0
    class_balance: float = 0.0
    """Share of the patches drawn around a nucleus of a class drawn first, all classes alike; the data
    sets are in memory then."""
    stains: tuple[str, ...] = (H_AND_E,)
    precision: Literal["auto", "32", "bf16"] = "auto"
    validate_every: int = 250
    """Steps between validation, sample grid and checkpoint."""
    validation_patches: int = 32
    validation_crop: int = 128
    sample_layouts: int = 4
    sample_shape: int = 256
    sample_steps: int = 10
    sample_guidance: float = 1.0
    sampler: str = "fast"
    """Of the sample grids, as are the fields before it."""
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
        """The stage a step belongs to; past the end, the last."""
        for stage in self.stages:
            if step < stage.steps:
                return stage
            step -= stage.steps
        return self.stages[-1]


def load_recipe(name: str | Path) -> Recipe:
    """A recipe by bundled name or path: TOML, or the JSON that a run writes of its own.

    Raises ValueError naming file and field.
    """
    return read_recipe(Recipe, name, bundled_recipes())


def read_recipe(kind: type[R], name: str | Path, bundled: Mapping[str, Path]) -> R:
    """A recipe of some kind by bundled name or path. Raises ValueError naming file and field."""
    path = find_recipe(name, bundled)
    return parse(kind, read_table(path), str(path))
