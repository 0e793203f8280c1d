"""Data sets -> batches. Every patch, prompt, time and noise is a function of seed, step and row."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from napari_cosynth import registry
from napari_cosynth.data.augment import augment, random_crop
from napari_cosynth.data.base import remap, resample
from napari_cosynth.diffusion.joint import Noise, stratified_times
from napari_cosynth.diffusion.tensors import JointState
from napari_cosynth.geometry.prompt import build_prompt, class_names
from napari_cosynth.model.encoding import encode_points, encode_records
from napari_cosynth.training.config import DataConfig, Recipe
from napari_cosynth.types import ClassTable, Record

logger = logging.getLogger(__name__)


@dataclass
class Batch:
    """One training step's input; a null text is the empty prompt."""

    clean: JointState
    points: Tensor
    """int64 (B, H, W)."""
    prompts: list[str]
    t: Tensor
    """float64 (B,)."""
    noise: Noise

    def to(self, device: torch.device) -> Batch:
        # t stays on the CPU: the schedules are computed there in double precision.
        return Batch(
            self.clean.to(device),
            self.points.to(device),
            self.prompts,
            self.t,
            self.noise.to(device),
        )


def open_dataset(config: DataConfig, data_root: Path, split: str) -> list[Record]:
    """The records of a split, ``"train"`` or ``"validation"``, as the files have them."""
    reader = registry.resolve("dataset", config.kind)
    held = (*config.validation, *config.excluded)
    chosen = {"without": held} if split == "train" else {"only": config.validation}
    if split == "validation" and not config.validation:
        return []
    try:
        return list(reader(data_root / config.root, **config.options, **chosen))
    except TypeError as error:
        raise ValueError(f"data {config.root!r}: options: {error}") from None


def prepare(record: Record, config: DataConfig, recipe: Recipe, classes: ClassTable) -> Record:
    """A record on the recipe's grid and in its classes."""
    return remap(resample(record, recipe.mpp), classes, config.classes)


def collate(
    records: list[Record], recipe: Recipe, rng: np.random.Generator, dropout: float
) -> Batch:
    """Patches with prompts (classes shuffled, dropped with probability ``dropout``) and noise."""
    prompts = []
    for record in records:
        names = class_names(record.layout)
        rng.shuffle(names)
        dropped = rng.random() < dropout
        prompts.append("" if dropped else build_prompt(names, record.tissue, record.stain))
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    height, width = records[0].labels.shape
    return Batch(
        clean=encode_records(records),
        points=encode_points([r.layout for r in records]),
        prompts=prompts,
        t=stratified_times(len(records), generator),
        noise=Noise.draw(len(records), height, width, generator),
    )


class TrainingStream(IterableDataset[Batch]):
    """Batches from a step on; step n's batch does not depend on how the run got there."""

    def __init__(
        self, sets: list[list[Record]], weights: list[float], recipe: Recipe, steps: int
    ) -> None:
        self.sets = sets
        self.weights = np.array(weights) / np.sum(weights)
        self.recipe = recipe
        self.steps = steps
        self.start = 0
        """Set before every epoch: the step its first batch is for."""

    def batch_at(self, step: int) -> Batch:
        stage = self.recipe.stage_at(step)
        rng = np.random.default_rng([self.recipe.seed, step])
        records = []
        for _ in range(stage.batch):
            chosen = self.sets[rng.choice(len(self.sets), p=self.weights)]
            record = chosen[rng.integers(len(chosen))]
            records.append(augment(record, stage.crop, rng, self.recipe.stain_jitter))
        return collate(records, self.recipe, rng, self.recipe.text_dropout)

    def __iter__(self) -> Iterator[Batch]:
        return (self.batch_at(step) for step in range(self.start, self.start + self.steps))


class CosynthData(LightningDataModule):
    """All data sets of a recipe, in memory at the recipe's µm/px, split by whole tile."""

    def __init__(self, recipe: Recipe, data_root: Path) -> None:
        super().__init__()
        self.recipe = recipe
        self.classes = ClassTable.of(*recipe.classes)
        self.training: list[list[Record]] = []
        self.validation: list[list[Record]] = []
        for config in recipe.data:
            for split, sets in (("train", self.training), ("validation", self.validation)):
                records = [
                    prepare(r, config, recipe, self.classes)
                    for r in open_dataset(config, data_root, split)
                ]
                sets.append(records)
            logger.info(
                "%s: %d tiles to train on, %d to validate on",
                config.root,
                len(self.training[-1]),
                len(self.validation[-1]),
            )
        weights = [config.weight for config in recipe.data]
        self.stream = TrainingStream(self.training, weights, recipe, recipe.validate_every)

    @property
    def tissues(self) -> tuple[str, ...]:
        """The tissues of the training tiles, sorted."""
        return tuple(sorted({r.tissue for records in self.training for r in records} - {""}))

    def held_out(self, count: int, size: int) -> list[Record]:
        """The same validation patches every time, from all validation tiles in turn."""
        rng = np.random.default_rng(self.recipe.seed)
        tiles = [record for records in self.validation for record in records]
        return [random_crop(tiles[i % len(tiles)], size, rng) for i in range(count if tiles else 0)]

    def train_dataloader(self) -> DataLoader[Batch]:
        trainer = self.trainer
        self.stream.start = trainer.global_step if trainer is not None else 0
        return DataLoader(self.stream, batch_size=None)

    def val_dataloader(self) -> DataLoader[Batch]:
        recipe = self.recipe
        patches = self.held_out(recipe.validation_patches, recipe.validation_crop)
        rng = np.random.default_rng(recipe.seed)
        batches = [
            collate(patches[i : i + 8], recipe, rng, dropout=0.0) for i in range(0, len(patches), 8)
        ]
        return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]
