"""Training runs: a folder with the resolved recipe, log, samples, state and exported model."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.io.paths import check_new
from napari_cosynth.io.settings import plain
from napari_cosynth.known import available, locate
from napari_cosynth.model.checkpoint import CheckpointConfig, build, read_config
from napari_cosynth.model.efficientnet import pretrained
from napari_cosynth.model.looks import NUMBERS, LookScale, TileLook
from napari_cosynth.model.precision import choose_device, faster_in_bf16
from napari_cosynth.model.text import vocabulary
from napari_cosynth.model.unet import preset
from napari_cosynth.training.adversarial.module import AdversarialDiffusion
from napari_cosynth.training.adversarial.teacher import Teacher
from napari_cosynth.training.callbacks import (
    AtomicStates,
    Housekeeping,
    MovingAverage,
    Pace,
    StateSaver,
    clear_leftovers,
    disk_error,
)
from napari_cosynth.training.config import Recipe, load_recipe
from napari_cosynth.training.data import CosynthData, tile_looks, usual_areas
from napari_cosynth.training.export import state_to_resume
from napari_cosynth.training.initial import inherited, start_from
from napari_cosynth.training.module import JointDiffusion
from napari_cosynth.training.run_folder import LOG, MODEL, RECIPE, SAMPLES, START, STATE, Start
from napari_cosynth.types import H_AND_E, ClassTable

logger = logging.getLogger(__name__)


def checkpoint_config(
    recipe: Recipe,
    tissues: Sequence[str],
    scale: LookScale | None = None,
    areas: dict[str, float] | None = None,
) -> CheckpointConfig:
    """The configuration of the model that a recipe trains on data of these tissues.

    ``scale`` standardises looks; None for a network without looks. ``areas`` are the classes' usual
    nucleus areas in µm², by class name.
    """
    table = ClassTable.of(*recipe.classes)
    text = dict(recipe.text)
    if text.get("kind") == "compact":
        stains = tuple(s for s in recipe.stains if s != H_AND_E)
        text.setdefault("vocabulary", list(vocabulary(recipe.classes, tissues, stains)))
    options: dict[str, Any] = dict(recipe.network)
    if scale is not None:
        options["look"] = len(NUMBERS)
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
        nodes=recipe.adversarial.nodes if recipe.adversarial else (),
        look=scale,
        areas=areas or {},
        licence=recipe.licence,
    )


def train(
    recipe: Recipe | str | Path,
    data_root: str | Path,
    out: str | Path,
    resume: bool = False,
    init: str | Path | None = None,
    device: str = "auto",
    devices: int | str = 1,
    nodes: int = 1,
    strategy: str = "auto",
    workers: int | None = None,
    max_hours: float | None = None,
    save_minutes: float = 10.0,
    progress: bool = True,
) -> Path:
    """Trains a recipe; returns the folder of the exported checkpoint (averaged weights).

    ``out`` is the run's folder. ``resume`` continues the run in it, even a killed one, and gives the same
    losses as a run that never stopped. ``init`` is a checkpoint to start from instead of random weights.
    The state to resume from is written every ``save_minutes`` and after every validation. The run stops
    after ``max_hours``.

    ``devices`` processes on each of ``nodes`` machines share every batch, one per GPU (``"auto"``: all
    GPUs), by Lightning's ``strategy`` ("auto" is "ddp" for more than one process). ``workers`` further
    processes make the batches of each; by default up to 8 on a GPU and none on a CPU.

    Raises ValueError for bad input before anything is written, NotFiniteError where a loss is NaN,
    OSError where the disk is full, and KeyboardInterrupt after the step in which Ctrl-C was pressed. The
    last state is whole in each case.
    """
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    data_root, out = Path(data_root).expanduser(), Path(out).absolute()
    chosen = choose_device(device)
    if recipe.adversarial and (devices != 1 or nodes != 1):
        raise ValueError("devices: adversarial training runs in one process")
    first = rank_zero_only.rank == 0  # type: ignore[attr-defined]
    if first:
        _check_folder(recipe, out, resume)
    torch.manual_seed(recipe.seed)
    if workers is None:
        workers = min(8, (os.cpu_count() or 2) - 1) if chosen.type == "cuda" else 0
    # Check these inputs first: reading the tiles takes minutes.
    ckpt_path = state_to_resume(out) if resume else None
    if init is None and resume and (before := Start.read(out)) is not None:
        init = before.init  # which decides how looks are standardised
    start = None if init is None else read_config(init)
    features = pretrained() if recipe.adversarial else None
    data = CosynthData(recipe, data_root, workers)
    follows = recipe.adversarial or (start is not None and start.look is not None)
    bank = tile_looks(data.training) if follows else ()
    areas = usual_areas(data.training, data.classes)
    config = checkpoint_config(recipe, data.tissues, _scale_of(bank, start), areas)
    config = dataclasses.replace(config, tiles=data.tiles)
    model = build(config)
    if start is not None and init is not None:
        said = start_from(model, config, init)
        logger.info(said)
        config = inherited(dataclasses.replace(config, training={"init": said}), start)
    model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    named = recipe.adversarial.teacher if recipe.adversarial else ""
    teacher = Teacher(named, config) if named else None
    module = (
        JointDiffusion(model, recipe, config.look)
        if features is None
        else AdversarialDiffusion(model, recipe, features, config.look, teacher)
    )

    if first:
        out.mkdir(parents=True, exist_ok=True)
        clear_leftovers(out)
        with replaced_file(out / RECIPE) as fresh:
            fresh.write_text(json.dumps(plain(recipe), indent=1) + "\n")
        Start(str(data_root.absolute()), _findable(init)).write(out)
    state = out / STATE
    half = recipe.precision == "bf16" or (recipe.precision == "auto" and faster_in_bf16(chosen))
    saver = StateSaver(state, save_minutes, max_hours)
    house = Housekeeping(data, config, out, bank)
    callbacks: list[Callback] = [MovingAverage(), Pace(), house, saver]
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=1))
    trainer = Trainer(
        accelerator={"cuda": "gpu"}.get(chosen.type, chosen.type),
        devices=devices if chosen.index is None else [chosen.index],
        num_nodes=nodes,
        strategy=strategy,
        precision="bf16-mixed" if half else "32-true",
        max_steps=recipe.total_steps,
        max_epochs=-1,
        limit_train_batches=recipe.validate_every,
        reload_dataloaders_every_n_epochs=1,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        # With a discriminator the module makes each step itself, and clips there.
        gradient_clip_val=recipe.optimizer.clip if features is None else None,
        logger=loggers(out),
        log_every_n_steps=10,
        callbacks=callbacks,
        plugins=[AtomicStates()],
        enable_checkpointing=False,
        enable_progress_bar=progress,
        enable_model_summary=False,
    )
    # A batch depends on its step alone, so resuming between two validations is safe.
    warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before")
    try:
        trainer.fit(module, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
    except OSError as error:
        raise disk_error(error, out) from error
    except SystemExit:  # Lightning raises it for a second Ctrl-C
        raise KeyboardInterrupt from None
    if saver.interrupted:
        raise KeyboardInterrupt
    return out / MODEL


def _findable(init: str | Path | None) -> str | None:
    """A checkpoint to start from, as it is found from any folder: a bundled name, or its path."""
    if init is None or str(init) in available():
        return None if init is None else str(init)
    return str(locate(init).absolute())


def _scale_of(bank: Sequence[TileLook], start: CheckpointConfig | None) -> LookScale | None:
    """The scale that standardises looks; None without a bank.

    Numbers that the start's weights know keep the start's scale, since its layer was trained with it.
    The others get the scale of the bank.
    """
    if not bank:
        return None
    fresh = LookScale.over([tile.look for tile in bank])
    if start is None or (known := start.look) is None:
        return fresh
    size = len(known.mean)
    return LookScale((*known.mean, *fresh.mean[size:]), (*known.deviation, *fresh.deviation[size:]))


def _check_folder(recipe: Recipe, out: Path, resume: bool) -> None:
    """Raises ValueError or FileExistsError unless ``out`` is new or has a run of this model to resume."""
    if not resume:
        check_new(out, "resume it or choose another folder", hidden=True)
        return
    try:
        before = json.loads((out / RECIPE).read_text(encoding="utf-8"))
        differs = [k for k in ("classes", "network", "text") if before[k] != plain(recipe)[k]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f"{out}: nothing to resume") from None
    # A folder with only a recipe may be the user's own, with his data in it.
    others = {p.name for p in out.iterdir() if p.name[0] != "."} - {
        RECIPE,
        START,
        LOG,
        SAMPLES,
        MODEL,
    }
    if others and not (out / STATE).is_file():
        raise ValueError(f"{out}: nothing to resume: {min(others)} is of no run")
    if differs:
        raise ValueError(f"{out}: {differs[0]}: not what the run to resume was started with")


def loggers(out: Path) -> list[Logger]:
    """Loggers of one start of a run: CSV, and TensorBoard where it is installed.

    Each start has a folder of its own, since Lightning would overwrite the earlier log.
    """
    version = len(list((out / LOG).glob("version_*")))
    place: dict[str, Any] = {"save_dir": out, "name": LOG, "version": version}
    loggers: list[Logger] = [CSVLogger(**place, flush_logs_every_n_steps=10)]
    if importlib.util.find_spec("tensorboard") is not None:
        loggers.append(TensorBoardLogger(**place))
    return loggers
