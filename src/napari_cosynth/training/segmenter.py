"""Training runs of segmenters: a folder with the log, the state and the finished segmenter."""

from __future__ import annotations

import dataclasses
import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from napari_cosynth.foreign.files import read_json
from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.io.paths import check_new
from napari_cosynth.io.settings import FORBID_UNKNOWN, plain
from napari_cosynth.model.precision import choose_device, faster_in_bf16
from napari_cosynth.records.augment import random_crop, turn
from napari_cosynth.records.distort import distorted
from napari_cosynth.segmenter.checkpoint import Segmenter, SegmenterDescription, save_segmenter
from napari_cosynth.segmenter.losses import segmentation_losses
from napari_cosynth.segmenter.network import HoverNet, preset
from napari_cosynth.segmenter.targets import Targets, scaled, targets
from napari_cosynth.training.callbacks import AtomicStates, StateSaver, clear_leftovers, disk_error
from napari_cosynth.training.export import state_to_resume
from napari_cosynth.training.module import NotFiniteError
from napari_cosynth.training.run import loggers
from napari_cosynth.training.run_folder import MODEL, STATE
from napari_cosynth.types import Record

SETTINGS = "settings.json"


@dataclass(frozen=True)
class SegmenterSettings:
    """Settings of a segmenter's training."""

    __pydantic_config__ = FORBID_UNKNOWN

    network: dict[str, Any] = field(default_factory=lambda: {"preset": "compact"})
    """``preset`` (compact, full) and the fields of the network's configuration that differ from the
    preset."""
    steps: int = 2000
    batch: int = 8
    crop: int = 128
    """Side of a patch in pixels."""
    lr: float = 2e-3
    """AdamW's highest learning rate: linear warm-up over the first tenth of the steps, then a cosine down
    to 1 % of it."""
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.crop) < 1:
            raise ValueError("segmenter: expected steps, batch and crop above 0")
        if not (self.lr > 0 and self.weight_decay >= 0):
            raise ValueError("segmenter: expected lr above 0 and weight_decay of 0 or more")

    def build(self, classes: int) -> HoverNet:
        """The untrained network. Raises ValueError naming the field that is wrong."""
        options = dict(self.network)
        return HoverNet(preset(str(options.pop("preset", "compact")), classes=classes, **options))

    def rate(self, step: int) -> float:
        """Factor of the learning rate at a step."""
        warm = max(1, self.steps // 10)
        if step < warm:
            return (step + 1) / warm
        done = (step - warm) / max(1, self.steps - warm)
        return float(0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * min(1.0, done))))


@dataclass
class Patches:
    """The input of one training step."""

    images: Tensor
    """float32 (B, 3, H, W) in [-1, 1]."""
    targets: Targets

    def to(self, device: torch.device) -> Patches:
        """These patches on a device."""
        return Patches(self.images.to(device), self.targets.to(device))


class PatchStream(IterableDataset[Patches]):
    """Batches from step ``start`` on; each depends on seed and step alone, so a resumed run repeats them.

    ``sources`` are lists of records, each with its share of the patches. With ``augmented``, patches are
    turned, mirrored and distorted before their targets are made.
    """

    def __init__(
        self,
        sources: Sequence[tuple[Sequence[Record], float]],
        settings: SegmenterSettings,
        seed: int,
        augmented: bool,
    ) -> None:
        self.records = [records for records, _ in sources]
        shares = np.array([share for _, share in sources], np.float64)
        self.shares = shares / shares.sum()
        self.settings = settings
        self.seed = seed
        self.augmented = augmented
        self.start = 0

    def batch_at(self, step: int) -> Patches:
        """The batch of a step, the same at every call."""
        patches = []
        for row in range(self.settings.batch):
            rng = np.random.default_rng([self.seed, step, row])
            records = self.records[rng.choice(len(self.records), p=self.shares)]
            patch = random_crop(records[int(rng.integers(len(records)))], self.settings.crop, rng)
            if self.augmented:
                patch = turn(patch, int(rng.integers(4)), bool(rng.integers(2)))
                patch = dataclasses.replace(patch, image=distorted(patch.image, rng))
            patches.append(patch)
        return Patches(scaled([p.image for p in patches]), targets(patches))

    def __iter__(self) -> Iterator[Patches]:
        worker = get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        return (
            self.batch_at(step) for step in range(self.start + first, self.settings.steps, stride)
        )


class SegmenterModule(LightningModule):
    """HoVer-Net, trained with its six losses."""

    def __init__(
        self,
        network: HoverNet,
        settings: SegmenterSettings,
        stream: PatchStream,
        mpp: float,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self.stream = stream
        self.mpp = mpp
        self.workers = workers

    def train_dataloader(self) -> DataLoader[Patches]:
        self.stream.start = self.global_step
        return DataLoader(self.stream, batch_size=None, num_workers=self.workers)

    def training_step(self, batch: Patches, index: int) -> Tensor:
        losses = segmentation_losses(self.network(batch.images), batch.targets, self.mpp)
        total = losses.total
        if not torch.isfinite(total):
            raise NotFiniteError(f"the segmenter's loss is {float(total)} at {self.global_step}")
        terms = {f.name: getattr(losses, f.name).detach() for f in dataclasses.fields(losses)}
        self.log_dict(terms, batch_size=len(batch.images))
        self.log("loss", total.detach(), prog_bar=True, batch_size=len(batch.images))
        return total

    def transfer_batch_to_device(self, batch: Patches, device: torch.device, index: int) -> Patches:
        return batch.to(device)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        optimizer = torch.optim.AdamW(
            self.network.parameters(), self.settings.lr, weight_decay=self.settings.weight_decay
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.settings.rate)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _check_run(out: Path, settings: dict[str, Any]) -> None:
    """Raises ValueError where ``out`` holds a run of other settings, FileExistsError for other files."""
    path = out / SETTINGS
    if not path.is_file():
        check_new(out, "it holds no run: choose another folder", hidden=True)
    if path.is_file() and read_json(path) != json.loads(json.dumps(settings)):
        raise ValueError(f"{out}: holds a run of other settings; choose another folder")


def train_segmenter(
    sources: Sequence[tuple[Sequence[Record], float]],
    settings: SegmenterSettings,
    out: Path,
    seed: int = 0,
    augmented: bool = True,
    device: str = "auto",
    max_hours: float | None = None,
    save_minutes: float = 5.0,
    progress: bool = True,
    tiles: Mapping[str, str] | None = None,
) -> Path | None:
    """Trains a segmenter in the run's folder ``out``, resuming from a state that is there.

    ``sources`` are lists of records, all with one class table and µm/px, each with its share of the
    patches. ``tiles`` are the digests of the real tiles by name. Returns the finished segmenter's folder,
    or None where ``max_hours`` ran out first. Raises ValueError where a record is smaller than a patch,
    or where ``out`` holds a run of other settings.
    """
    first = sources[0][0][0]
    for records, _ in sources:
        for record in records:
            if min(record.labels.shape) < settings.crop:
                raise ValueError(
                    f"{record.source}: {record.labels.shape} pixels are less than the crop of "
                    f"{settings.crop}"
                )
    chosen = choose_device(device)
    described = {**plain(settings), "seed": seed, "augmented": augmented}
    _check_run(out, described)
    resumed = state_to_resume(out)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = settings.build(len(first.classes))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    stream = PatchStream(sources, settings, seed, augmented)
    with replaced_file(out / SETTINGS) as fresh:
        fresh.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    clear_leftovers(out)
    callbacks: list[Callback] = [StateSaver(out / STATE, save_minutes, max_hours)]
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=1))
    trainer = Trainer(
        accelerator={"cuda": "gpu"}.get(chosen.type, chosen.type),
        devices=1 if chosen.index is None else [chosen.index],
        precision="bf16-mixed" if faster_in_bf16(chosen) else "32-true",
        max_steps=settings.steps,
        max_epochs=-1,
        logger=loggers(out),
        log_every_n_steps=10,
        callbacks=callbacks,
        plugins=[AtomicStates()],
        enable_checkpointing=False,
        enable_progress_bar=progress,
        enable_model_summary=False,
    )
    state = out / STATE
    workers = min(8, (os.cpu_count() or 2) - 1) if chosen.type == "cuda" else 0
    warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before")
    try:
        trainer.fit(
            SegmenterModule(network, settings, stream, first.mpp, workers),
            ckpt_path=resumed,
            weights_only=True,
        )
    except OSError as error:
        raise disk_error(error, out) from error
    if trainer.global_step < settings.steps:
        return None
    description = SegmenterDescription(
        network=network.config,
        class_names=first.classes.names,
        mpp=first.mpp,
        training=described,
        tiles=dict(tiles or {}),
    )
    folder = save_segmenter(Segmenter(network, description), out / MODEL)
    state.unlink(missing_ok=True)
    return folder
