"""One training run: a folder with its resolved recipe, log, samples, state and exported model."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Timer, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger

from napari_cosynth.atomic import replaced_file
from napari_cosynth.model.checkpoint import CheckpointConfig, Model, build, load, save
from napari_cosynth.model.precision import choose_device, faster_in_bf16
from napari_cosynth.model.text import vocabulary
from napari_cosynth.model.unet import preset
from napari_cosynth.settings import plain
from napari_cosynth.training.config import Recipe, load_recipe
from napari_cosynth.training.data import CosynthData
from napari_cosynth.training.grid import sample_grid
from napari_cosynth.training.module import JointDiffusion
from napari_cosynth.types import ClassTable

logger = logging.getLogger(__name__)

STATE = "last.ckpt"
EXPORT = "model"


def checkpoint_config(recipe: Recipe, tissues: Sequence[str]) -> CheckpointConfig:
    """The configuration of the model a recipe trains on data of these tissues."""
    table = ClassTable.of(*recipe.classes)
    text = dict(recipe.text)
    if text.get("kind") == "compact":
        stains = tuple(s for s in recipe.stains if s != "H&E")
        text.setdefault("vocabulary", list(vocabulary(recipe.classes, tissues, stains)))
    options = dict(recipe.network)
    name = str(options.pop("preset", "compact"))
    network = preset(name, classes=len(table), **options)
    return CheckpointConfig(
        network=network,
        text=text,
        class_names=table.names,
        class_colors=tuple(tuple(int(v) for v in c) for c in table.colors),  # type: ignore[misc]
        mpp=recipe.mpp,
        tissues=tuple(tissues),
        stains=recipe.stains,
        licence=recipe.licence,
    )


class Housekeeping(Callback):
    """After every validation: samples as PNG, the resumable state and the exported model."""

    def __init__(self, data: CosynthData, config: CheckpointConfig, out: Path) -> None:
        recipe = data.recipe
        self.layouts = data.held_out(recipe.sample_layouts, recipe.sample_shape)
        self.recipe = recipe
        self.config = config
        self.out = out
        self.begun = time.monotonic()
        self.hours_before = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"hours": self.hours}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.hours_before = float(state_dict["hours"])

    @property
    def hours(self) -> float:
        return self.hours_before + (time.monotonic() - self.begun) / 3600

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, JointDiffusion)
        if not trainer.is_global_zero:
            return
        step = trainer.global_step
        if self.layouts:
            grid = sample_grid(
                module.average, self.layouts, module.schedule, self.recipe.sample_steps
            )
            from skimage.io import imsave

            (self.out / "samples").mkdir(exist_ok=True)
            imsave(self.out / "samples" / f"{step:07d}.png", grid, check_contrast=False)
        self.export(module.average, trainer)

    def export(self, model: Model, trainer: Trainer) -> None:
        metrics = {k: round(float(v), 5) for k, v in trainer.callback_metrics.items()}
        training = {
            "recipe": self.recipe.name,
            "steps": trainer.global_step,
            "hours": round(self.hours, 2),
            "losses": {k: v for k, v in metrics.items() if k.startswith(("train_", "val_"))},
        }
        config = dataclasses.replace(self.config, training=training)
        card = f"# {self.recipe.name}\n\n{self.recipe.notes}\n\nLicence: {self.recipe.licence}\n"
        save(model, config, self.out / EXPORT, card)


class StateSaver(Callback):
    """Writes the resumable state whole or not at all, after everything else of the epoch."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        with replaced_file(self.path) as fresh:
            trainer.save_checkpoint(fresh)


def train(
    recipe: Recipe | str | Path,
    data_root: str | Path,
    out: str | Path,
    resume: bool = False,
    init: str | Path | None = None,
    device: str = "auto",
    max_hours: float | None = None,
    progress: bool = True,
) -> Path:
    """Trains a recipe and returns the folder of the exported checkpoint (averaged weights).

    ``out`` is the run's folder; ``resume`` continues the run it holds. ``init`` starts from a
    checkpoint's weights instead of random ones. Raises ValueError on bad input before anything is
    written.
    """
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    data_root, out = Path(data_root).expanduser(), Path(out).absolute()
    state = out / STATE
    if resume and not state.is_file():
        raise ValueError(f"{state}: nothing to resume")
    if not resume and out.exists() and any(out.iterdir()):
        raise ValueError(f"{out}: exists already; resume it or choose another folder")
    chosen = choose_device(device)
    torch.manual_seed(recipe.seed)
    data = CosynthData(recipe, data_root)
    config = checkpoint_config(recipe, data.tissues)
    model = build(config)
    if init is not None:
        model.load_state_dict(_initial_weights(init, config))
    model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module = JointDiffusion(model, recipe)

    out.mkdir(parents=True, exist_ok=True)
    with replaced_file(out / "recipe.json") as fresh:
        fresh.write_text(json.dumps(plain(recipe), indent=1) + "\n")
    half = recipe.precision == "bf16" or (recipe.precision == "auto" and faster_in_bf16(chosen))
    callbacks: list[Callback] = [Housekeeping(data, config, out), StateSaver(state)]
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=1))
    if max_hours is not None:
        callbacks.append(Timer(duration=timedelta(hours=max_hours), interval="epoch"))
    trainer = Trainer(
        accelerator={"cuda": "gpu"}.get(chosen.type, chosen.type),
        devices=1,
        precision="bf16-mixed" if half else "32-true",
        max_steps=recipe.total_steps,
        max_epochs=-1,
        limit_train_batches=recipe.validate_every,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        gradient_clip_val=recipe.optimizer.clip,
        logger=CSVLogger(out, name="log", version=_next_log(out), flush_logs_every_n_steps=10),
        log_every_n_steps=10,
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=progress,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=data, ckpt_path=state if resume else None, weights_only=True)
    return out / EXPORT


def _next_log(out: Path) -> int:
    """Each start of a run logs to a file of its own: Lightning would overwrite the one before."""
    return len(list((out / "log").glob("version_*")))


def _initial_weights(init: str | Path, config: CheckpointConfig) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint with the same network, vocabulary and classes."""
    start = load(init)
    if start.config.network != config.network or start.config.text != config.text:
        raise ValueError(f"{start.path}: its network or vocabulary is not the recipe's")
    if not np.array_equal(start.config.class_names, config.class_names):
        raise ValueError(f"{start.path}: its classes are not the recipe's")
    return dict(start.model.state_dict())
