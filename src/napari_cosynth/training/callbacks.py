"""Callbacks of a run: its weights' moving average, sample grids, exports, and states to resume from."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from napari_cosynth.io.atomic import leftovers, replaced_file
from napari_cosynth.io.settings import plain
from napari_cosynth.model.checkpoint import CheckpointConfig
from napari_cosynth.model.looks import TileLook
from napari_cosynth.training.data import CosynthData
from napari_cosynth.training.export import export_model
from napari_cosynth.training.grid import sample_figures, sample_grid, sample_records
from napari_cosynth.training.module import JointDiffusion
from napari_cosynth.training.run_folder import MODEL, RECIPE, SAMPLES, SECONDS, START, STATE


class MovingAverage(Callback):
    """Updates the moving average after every step; it runs first, so that all other callbacks see it."""

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        assert isinstance(module, JointDiffusion)
        module.update_average()


class Pace(Callback):
    """Logs how long each step took, without the validations and samples between two of them."""

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        self.begun = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        module.log(SECONDS, time.perf_counter() - self.begun, on_step=True, on_epoch=False)


class Housekeeping(Callback):
    """Writes samples as PNG and the exported model after every validation."""

    def __init__(
        self,
        data: CosynthData,
        config: CheckpointConfig,
        out: Path,
        bank: Sequence[TileLook] = (),
    ) -> None:
        recipe = data.recipe
        self.layouts = data.held_out(recipe.sample_layouts, recipe.sample_shape)
        self.recipe = recipe
        self.config = config
        self.bank = bank
        self.out = out
        self.begun = time.monotonic()
        self.hours_before = 0.0
        self.done = 0
        """The last step whose files were written; a run that resumes there does not write them again."""

    def state_dict(self) -> dict[str, Any]:
        return {"hours": self.hours, "config": plain(self.config), "done": self.done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.hours_before = float(state_dict["hours"])
        self.done = int(state_dict.get("done", 0))
        before = state_dict.get("config", {}).get("training", {})
        self.config = dataclasses.replace(self.config, training={**before, **self.config.training})

    @property
    def hours(self) -> float:
        return self.hours_before + (time.monotonic() - self.begun) / 3600

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, JointDiffusion)
        recipe, step = self.recipe, trainer.global_step
        if self.done == step:
            return
        self.done = step
        # All processes have to take part: reading the means adds up those of all.
        losses = {
            k: round(float(v), 5)
            for k, v in trainer.callback_metrics.items()
            if k.startswith(("train_", "val_"))
        }
        if not trainer.is_global_zero:
            return
        if self.layouts:
            made = sample_records(
                module.average,
                self.config,
                self.layouts,
                recipe.sample_steps,
                recipe.sampler,
                recipe.sample_guidance,
            )
            grid = sample_grid(self.layouts, made)
            figures = sample_figures(self.layouts, made)
            losses |= {name: round(value, 4) for name, value in figures.items()}
            for log in trainer.loggers:
                log.log_metrics(figures, step)
            from skimage.io import imsave

            (self.out / SAMPLES).mkdir(exist_ok=True)
            with replaced_file(self.out / SAMPLES / f"{step:07d}.png") as fresh:
                imsave(fresh, grid, check_contrast=False)
            for logger in _boards(trainer.loggers):
                logger.experiment.add_image("samples", grid, step, dataformats="HWC")
        training = {
            **self.config.training,
            "recipe": recipe.name,
            "steps": step,
            "hours": round(self.hours, 2),
            "losses": losses,
        }
        self.config = dataclasses.replace(self.config, training=training)
        export_model(module.average, self.config, recipe, self.out / MODEL, bank=self.bank)


def _boards(loggers: list[Logger]) -> list[TensorBoardLogger]:
    return [logger for logger in loggers if isinstance(logger, TensorBoardLogger)]


class AtomicStates(TorchCheckpointIO):
    """Writer of states, whole or not at all, by a temporary file in the same folder."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        with replaced_file(Path(path)) as fresh, fresh.open("wb") as handle:
            torch.save(checkpoint, handle)


class StateSaver(Callback):
    """Writes the state to resume from every ``minutes`` and after every validation.

    The run stops after ``hours``, or after the step in which Ctrl-C was pressed, and writes its state
    then, even between validations. A resumed run validates at the same steps as one that never stopped.
    A second Ctrl-C ends the run at once. All processes decide alike.
    """

    def __init__(self, path: Path, minutes: float, hours: float | None) -> None:
        self.path = path
        self.every = 60 * minutes
        self.limit = float("inf") if hours is None else 3600 * hours
        self.stopped = False
        self.interrupted = False

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.begun = self.saved = time.monotonic()
        # Leave the handler alone where Ctrl-C is ignored (nohup) or another thread trains.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler and _in_main_thread():
            signal.signal(signal.SIGINT, self._interrupt)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._let_go()

    def on_exception(
        self, trainer: Trainer, module: LightningModule, exception: BaseException
    ) -> None:
        self._let_go()

    def _interrupt(self, number: int, frame: object) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def _let_go(self) -> None:
        if _in_main_thread() and signal.getsignal(signal.SIGINT) == self._interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return  # the state is saved after the validation that follows
        now = time.monotonic()
        ending = self.interrupted or now - self.begun >= self.limit
        if _any(trainer, ending or now - self.saved >= self.every):
            self.save(trainer)
            if _any(trainer, ending):
                self.stopped = trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        if not self.stopped:
            self.save(trainer)
            if _any(trainer, self.interrupted):
                self.stopped = trainer.should_stop = True

    def save(self, trainer: Trainer) -> None:
        for logger in trainer.loggers:
            logger.save()
        trainer.save_checkpoint(self.path)
        self.saved = time.monotonic()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _any(trainer: Trainer, decision: bool) -> bool:
    return trainer.strategy.reduce_boolean_decision(decision, all=False)


def clear_leftovers(folder: Path) -> None:
    """Removes half-written files that a killed process left in a run's folder."""
    for path in leftovers(folder, STATE, RECIPE, START, MODEL):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def disk_error(error: OSError, out: Path) -> OSError:
    """The error of a run whose disk is full or gone, with advice on how to go on."""
    reason = error.strerror or str(error)
    if (out / STATE).is_file():
        advice = "the last state is whole, --resume continues from it"
    else:
        advice = "there is no state yet, --resume begins again"
    return OSError(
        error.errno,
        f"{reason}: stopped; {advice}",
        os.fspath(error.filename or out),
    )
