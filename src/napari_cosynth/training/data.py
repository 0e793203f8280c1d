"""Training batches; every patch, prompt, time and noise depends on seed, step and row only."""

from __future__ import annotations

import dataclasses
import logging
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from napari_cosynth.diffusion.joint import Noise, stratified_times
from napari_cosynth.diffusion.tensors import JointState
from napari_cosynth.geometry.measure import majority_classes
from napari_cosynth.geometry.prompt import build_prompt, class_names
from napari_cosynth.model.encoding import encode_points, encode_records
from napari_cosynth.model.looks import TileLook, look_of
from napari_cosynth.records.augment import augment, random_crop
from napari_cosynth.records.base import Records
from napari_cosynth.stain.haematoxylin import ink_share
from napari_cosynth.training.balance import ClassBalance
from napari_cosynth.training.config import Recipe, StageConfig
from napari_cosynth.training.records import open_split
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
    sources: list[str]
    """Source of each row, for error messages."""

    def to(self, device: torch.device) -> Batch:
        """This batch on a device; ``t`` stays on the CPU."""
        # The schedules are computed on the CPU in double precision.
        return dataclasses.replace(
            self,
            clean=self.clean.to(device),
            points=self.points.to(device),
            noise=self.noise.to(device),
        )

    def rows(self, rows: slice) -> Batch:
        """These rows as a batch."""
        clean, noise = self.clean, self.noise
        return Batch(
            JointState(clean.image[rows], clean.distance[rows], clean.labels[rows]),
            self.points[rows],
            self.prompts[rows],
            self.t[rows],
            Noise(noise.image[rows], noise.distance[rows], noise.labels[rows]),
            self.sources[rows],
        )


def collate(
    records: Sequence[Record],
    rngs: Sequence[np.random.Generator],
    t: Tensor,
    dropout: float,
    point_dropout: float = 0.0,
) -> Batch:
    """A batch of patches with prompts and noise, at times ``t`` (B,).

    A prompt names its classes in random order, and is empty with probability ``dropout``. With
    probability ``point_dropout`` a row's point map is empty and its labels stay. Each row draws from its
    own generator, so that it is the same in any batch.
    """
    height, width = records[0].labels.shape
    prompts, noise = [], []
    points = encode_points([r.layout for r in records])
    for row, (record, rng) in enumerate(zip(records, rngs, strict=True)):
        names = class_names(record.layout)
        rng.shuffle(names)
        dropped = rng.random() < dropout
        prompts.append("" if dropped else build_prompt(names, record.tissue, record.stain))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        noise.append(Noise.draw(1, height, width, generator))
        # Drawn last, so that batches without point_dropout keep the draws of earlier versions.
        if rng.random() < point_dropout:
            points[row] = 0
    return Batch(
        clean=encode_records(records),
        points=points,
        prompts=prompts,
        t=t,
        noise=Noise.cat(noise),
        sources=[record.source for record in records],
    )


class TrainingStream(IterableDataset[Batch]):
    """Batches from step ``start`` on; a step's batch does not depend on the steps before.

    Process ``rank`` of ``world`` makes only its own rows of every batch. A process' workers make its
    batches in turn.
    """

    def __init__(
        self, sets: list[Records], weights: list[float], recipe: Recipe, steps: int
    ) -> None:
        self.sets = sets
        self.weights = np.array(weights) / np.sum(weights)
        self.recipe = recipe
        self.steps = steps
        self.start = 0
        """Step of the first batch; it is set before every epoch."""
        self.rank, self.world = 0, 1
        balanced = sets if recipe.class_balance else []
        self.balances = [ClassBalance(list(records)) for records in balanced]

    def batch_at(self, step: int) -> Batch:
        """This process' rows of a step's batch, the same at every call."""
        stage, recipe = self.recipe.stage_at(step), self.recipe
        generator = torch.Generator().manual_seed(seed_of(recipe.seed, step))
        t = stratified_times(stage.batch, generator)
        # With equal parts the mean of the processes' means is the mean over the batch.
        rows = torch.arange(stage.batch).view(self.world, -1)[self.rank]
        records, rngs = [], []
        for row in rows.tolist():
            rng = np.random.default_rng([recipe.seed, step, row])
            records.append(self._patch(stage, rng))
            rngs.append(rng)
        return collate(records, rngs, t[rows], recipe.text_dropout, recipe.point_dropout)

    def _patch(self, stage: StageConfig, rng: np.random.Generator) -> Record:
        recipe = self.recipe
        number = int(rng.choice(len(self.sets), p=self.weights))
        chosen, drawn = self.sets[number], None
        if self.balances and rng.random() < recipe.class_balance:
            drawn = self.balances[number].draw(rng)
        index, around = drawn or (int(rng.integers(len(chosen))), None)
        return augment(
            chosen[index],
            stage.crop,
            rng,
            recipe.stain_jitter,
            stage.stride,
            recipe.scale_jitter,
            around,
        )

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        last = self.recipe.total_steps
        steps = range(self.start + first, min(self.start + self.steps, last), stride)
        return (self.batch_at(step) for step in steps)


INKED = 0.05
"""Largest share of ink in a tile whose look is followed."""


def tile_looks(sets: Sequence[Records], most: int = 400) -> tuple[TileLook, ...]:
    """The looks of training tiles, of at most ``most`` tiles spread over each data set.

    Tiles with much ink are left out: what lies under it and beside it has its colour, too.
    """
    found = []
    for records in sets:
        count = min(most, len(records))
        for record in (records[i * len(records) // count] for i in range(count)):
            if ink_share(record.image) > INKED:
                continue
            names, ids = record.layout.classes.names, record.layout.class_ids
            counts = np.bincount(ids, minlength=len(names)) / max(1, len(ids))
            shares = {n: round(float(c), 4) for n, c in zip(names, counts, strict=True) if c}
            tile = Path(record.source).name
            look, density = look_of(record.image), round(record.layout.density)
            found.append(TileLook(tile, record.tissue, shares, look, density))
    return tuple(found)


def usual_areas(sets: Sequence[Records], classes: ClassTable, most: int = 100) -> dict[str, float]:
    """Median nucleus area in µm² by class name, from at most ``most`` training tiles of each data set."""
    found: list[list[npt.NDArray[np.float64]]] = [[] for _ in classes.names]
    for records in sets:
        count = min(most, len(records))
        for record in (records[i * len(records) // count] for i in range(count)):
            ids = majority_classes(record.instances, record.labels, len(classes))
            pixels = np.bincount(record.instances.ravel(), minlength=len(ids) + 1)[1:]
            for k in range(1, len(classes)):
                found[k].append(pixels[(ids == k) & (pixels > 0)] * record.mpp**2)
    areas = [np.concatenate(rows) if rows else np.zeros(0) for rows in found]
    named = zip(classes.names, areas, strict=True)
    return {name: round(float(np.median(a)), 2) for name, a in named if len(a)}


def seed_of(*key: int) -> int:
    """A torch seed, below 2^63, from several numbers."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]) >> 1


def _ignore_interrupts(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class CosynthData(LightningDataModule):
    """All data sets of a recipe at its µm/px, split by whole tiles."""

    def __init__(self, recipe: Recipe, data_root: Path, workers: int = 0) -> None:
        super().__init__()
        self.recipe = recipe
        self.workers = workers
        """Processes that make batches, besides the one that trains."""
        self.classes = ClassTable.of(*recipe.classes)
        self.training: list[Records] = []
        self.validation: list[Records] = []
        self.tiles: dict[str, tuple[str, ...]] = {}
        """Names of the training tiles by data set ("KIND ROOT")."""
        tissues: set[str] = set()
        for config in recipe.data:
            training, validation, found, names = open_split(config, data_root, recipe, self.classes)
            self.training.append(training)
            self.validation.append(validation)
            tissues.update(found)
            key = f"{config.kind} {config.root}"
            self.tiles[key] = tuple(dict.fromkeys((*self.tiles.get(key, ()), *names)))
            logger.info(
                "%s: %d tiles to train on, %d to validate on",
                config.root,
                len(training),
                len(validation),
            )
        self.tissues = tuple(sorted(tissues - {""}))
        """Tissues of the training tiles, sorted."""
        weights = [config.weight for config in recipe.data]
        self.stream = TrainingStream(self.training, weights, recipe, recipe.validate_every)

    def held_out(self, count: int, size: int) -> list[Record]:
        """``count`` validation patches of ``size`` pixels a side, spread over all validation tiles; the
        same at every call."""
        rng = np.random.default_rng(self.recipe.seed)
        tiles = [(records, i) for records in self.validation for i in range(len(records))]
        chosen = [
            tiles[i % len(tiles) if count > len(tiles) else i * len(tiles) // count]
            for i in range(count if tiles else 0)
        ]
        return [random_crop(records[i], size, rng) for records, i in chosen]

    def share(self, rank: int, world: int) -> None:
        """Makes this process number ``rank`` of ``world`` processes.

        Raises ValueError where a batch cannot be cut into equal parts.
        """
        for stage in self.recipe.stages:
            if stage.batch % world:
                raise ValueError(
                    f"stages: a batch of {stage.batch} cannot be cut into equal parts for {world} "
                    "processes"
                )
        self.stream.rank, self.stream.world = rank, world

    def train_dataloader(self) -> DataLoader[Batch]:
        trainer = self.trainer
        assert trainer is not None
        self.stream.start = trainer.global_step
        self.share(trainer.global_rank, trainer.world_size)
        # Ctrl-C reaches the whole process group; the workers ignore it, and this process ends them.
        return DataLoader(
            self.stream,
            batch_size=None,
            num_workers=self.workers,
            worker_init_fn=_ignore_interrupts,
        )

    def val_dataloader(self) -> DataLoader[Batch]:
        """All validation patches, in every process: they are few, and figures then match one process'."""
        recipe = self.recipe
        patches = self.held_out(recipe.validation_patches, recipe.validation_crop)
        batches = []
        for first in range(0, len(patches), 8):
            rows = range(first, min(first + 8, len(patches)))
            rngs = [np.random.default_rng([recipe.seed, row]) for row in rows]
            generator = torch.Generator().manual_seed(seed_of(recipe.seed, first))
            t = stratified_times(len(rows), generator)
            batches.append(collate([patches[i] for i in rows], rngs, t, dropout=0.0))
        return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]
