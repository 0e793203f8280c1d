"""The Lightning module: losses, moving average of the weights, optimiser."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torchmetrics import MeanMetric

from napari_cosynth.diffusion import joint
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.model.checkpoint import Model
from napari_cosynth.model.encoding import encode_condition
from napari_cosynth.model.looks import LookScale, describe
from napari_cosynth.training.config import Recipe
from napari_cosynth.training.data import Batch

_PARTS = ("image", "distance", "labels")
_TENTH = -1.2816
"""A tenth of normal numbers lies below."""


class NotFiniteError(ValueError):
    """A loss or gradient is NaN or infinite; it has not reached the weights."""


class JointDiffusion(LightningModule):
    """Trains ``model`` and keeps ``average``, the moving average that is validated and exported."""

    def __init__(self, model: Model, recipe: Recipe, scale: LookScale | None = None) -> None:
        """``scale``: that of the looks, for a network that is conditioned on them."""
        super().__init__()
        self.scale = scale
        self.model = model
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.recipe = recipe
        self.schedule = JointSchedule()
        self.means = nn.ModuleDict(
            {
                f"{split}_{part}": MeanMetric(nan_strategy="disable")
                for split in ("train", "val")
                for part in _PARTS
            }
        )
        self._latest: tuple[Batch, Tensor] | None = None
        self.average.eval()

    def looks(self, batch: Batch) -> Tensor | None:
        """The standardised look of each row's own image (B, N)."""
        if self.scale is None:
            return None
        return self.scale.standardised(describe(batch.clean.image))

    def losses(
        self,
        model: Model,
        batch: Batch,
        weights: joint.LossWeights | None = None,
        looks: Tensor | None = None,
    ) -> joint.Losses:
        """The losses of ``model`` on a batch; ``weights`` weights them over t.

        ``looks`` (B, N) are the rows' looks that the network is given.
        """
        state = joint.corrupt(
            batch.clean, batch.noise, batch.t, self.schedule, model.network.classes
        )
        condition = encode_condition(batch.points, batch.prompts, model.text, looks)
        prediction = model.network(state, batch.t, model.network.prepare(condition))
        return joint.losses(
            prediction, batch.clean, state, batch.noise, batch.t, self.schedule, weights
        )

    def _mean(self, split: str, part: str) -> MeanMetric:
        return cast(MeanMetric, self.means[f"{split}_{part}"])

    def _log_losses(self, split: str, losses: joint.Losses, batch: Batch) -> None:
        for part in _PARTS:
            mean = self._mean(split, part)
            mean.update(getattr(losses, part).detach(), len(batch.prompts))
            self.log(f"{split}_{part}", mean, on_step=False, on_epoch=True)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        # Only training is weighted over t; validation has to compare runs with different weights.
        losses = self.losses(self.model, batch, self.recipe.loss, self._some_looks(batch))
        total = losses.total(self.recipe.loss)
        self._latest = batch, total.detach()
        self._log_losses("train", losses, batch)
        rows = len(batch.prompts)
        self.log("loss", total.detach(), prog_bar=True, batch_size=rows, sync_dist=True)
        return total

    def _some_looks(self, batch: Batch) -> Tensor | None:
        """The rows' looks; none for one row in ten, so that the network paints without a look too."""
        looks = self.looks(batch)
        if looks is None:
            return None
        # By the row's own noise: processes that share a batch agree on it.
        named = batch.noise.image[:, 0, 0, 0] > _TENTH
        return looks * named[:, None]

    def configure_gradient_clipping(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        """Clips the gradient. It is the mean over all processes, so all of them see the same norm."""
        self.clip(self.model)

    def clip(self, part: nn.Module) -> None:
        """Clips the norm of a part's gradient. Raises NotFiniteError before a NaN reaches the weights."""
        parameters = (p for p in part.parameters() if p.grad is not None)
        norm = nn.utils.clip_grad_norm_(parameters, self.recipe.optimizer.clip)
        if not torch.isfinite(norm):
            assert self._latest is not None
            batch, loss = self._latest
            raise NotFiniteError(
                f"the loss is {float(loss)} and the gradient's norm {float(norm)} at step "
                f"{self.global_step}: stopped before the weights changed; the batch is of "
                + ", ".join(dict.fromkeys(batch.sources))
            )

    def update_average(self) -> None:
        """Moves the average towards the weights of the last step."""
        n = self.global_step
        decay = min(self.recipe.optimizer.ema, (1 + n) / (10 + n))
        with torch.no_grad():
            for mean, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(new, 1 - decay)

    def validation_step(self, batch: Batch, index: int) -> None:
        self._log_losses("val", self.losses(self.average, batch, looks=self.looks(batch)), batch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Between two validations, adds the sums of the losses since the earlier one."""
        if self.trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return
        sums = checkpoint["loss_sums"] = {}
        for part in _PARTS:
            mean = self._mean("train", part)
            with mean.sync_context():
                sums[part] = [mean.mean_value.item(), mean.weight.item()]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.global_rank == 0:  # the sums are over all processes, which will add them up again
            for part, (value, weight) in checkpoint.get("loss_sums", {}).items():
                mean = self._mean("train", part)
                mean.mean_value += value
                mean.weight += weight

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
