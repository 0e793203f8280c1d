"""The Lightning module: losses, average of the weights, optimiser."""

from __future__ import annotations

import copy
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from napari_cosynth.diffusion import joint
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.model.checkpoint import Model
from napari_cosynth.model.encoding import encode_condition
from napari_cosynth.training.config import Recipe
from napari_cosynth.training.data import Batch


class JointDiffusion(LightningModule):
    """Trains ``model`` and keeps ``average``, the moving average that is validated and exported."""

    def __init__(self, model: Model, recipe: Recipe) -> None:
        super().__init__()
        self.model = model
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.recipe = recipe
        self.schedule = JointSchedule()
        self.average.eval()

    def _losses(self, model: Model, batch: Batch) -> joint.Losses:
        state = joint.corrupt(
            batch.clean, batch.noise, batch.t, self.schedule, model.network.classes
        )
        condition = encode_condition(batch.points, batch.prompts, model.text)
        prediction = model.network(state, batch.t, model.network.prepare(condition))
        return joint.losses(prediction, batch.clean, state, batch.noise, batch.t, self.schedule)

    def _log_losses(self, split: str, losses: joint.Losses, batch: int, **options: Any) -> None:
        parts = {
            f"{split}_image": losses.image,
            f"{split}_distance": losses.distance,
            f"{split}_labels": losses.labels,
        }
        self.log_dict(parts, batch_size=batch, **options)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        losses = self._losses(self.model, batch)
        total = losses.total(self.recipe.loss)
        if not torch.isfinite(total):
            raise RuntimeError(f"the loss is {float(total)} at step {self.global_step}: stopped")
        self._log_losses("train", losses, len(batch.prompts), on_step=False, on_epoch=True)
        self.log("loss", total.detach(), prog_bar=True, batch_size=len(batch.prompts))
        return total

    def on_train_batch_end(self, *args: Any) -> None:
        n = self.global_step
        decay = min(self.recipe.optimizer.ema, (1 + n) / (10 + n))
        with torch.no_grad():
            for mean, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(new, 1 - decay)

    def validation_step(self, batch: Batch, index: int) -> None:
        losses = self._losses(self.average, batch)
        self._log_losses("val", losses, len(batch.prompts), on_step=False, on_epoch=True)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, index: int) -> Batch:
        return batch.to(device)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        settings = self.recipe.optimizer
        optimizer = torch.optim.AdamW(
            (p for p in self.model.parameters() if p.requires_grad),
            lr=settings.lr,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
        )
        total = self.recipe.total_steps
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: settings.rate(step, total)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
