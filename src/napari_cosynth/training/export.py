"""A run's averaged weights as a checkpoint folder with its card."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_cosynth.io.errors import one_line
from napari_cosynth.io.paths import check_target
from napari_cosynth.io.settings import parse
from napari_cosynth.model.checkpoint import CheckpointConfig, Model, build, save
from napari_cosynth.model.efficientnet import LICENCE
from napari_cosynth.model.looks import TileLook, read_bank
from napari_cosynth.model.torch_files import read_torch
from napari_cosynth.training.areas import fit_areas, training_patches
from napari_cosynth.training.config import Recipe, load_recipe
from napari_cosynth.training.run_folder import MODEL, RECIPE, STATE

A_STATE = "a run's state"


def model_card(config: CheckpointConfig, recipe: Recipe) -> str:
    """The model card in Markdown: the model's classes and grid, its training data and its training."""
    training, adversarial = config.training, recipe.adversarial
    facts = {
        "classes": ", ".join(config.class_names[1:]),
        "tissues": ", ".join(config.tissues) or "none named",
        "stains": ", ".join(config.stains),
        "grid": f"{config.mpp:g} µm/px",
        "data": ", ".join(f"{d.root} ({d.kind}, weight {d.weight:g})" for d in recipe.data),
        "steps": training.get("steps"),
        "hours": training.get("hours"),
        "started from": training.get("init", "random weights"),
        "losses": ", ".join(f"{k} {v:g}" for k, v in training.get("losses", {}).items()),
        "discriminator": adversarial and f"on features of {LICENCE}; not needed to sample",
        "passes of the sampler few": adversarial and f"{len(config.nodes)}, at t = {config.nodes}",
        "licence": config.licence or "not stated",
    }
    rows = "\n".join(f"- {key}: {value}" for key, value in facts.items() if value not in ("", None))
    notes = f"{recipe.notes}\n\n" if recipe.notes else ""
    return f"# {recipe.name}\n\n{notes}{rows}\n\nWeights are the moving average of the run.\n"


def export_model(
    model: Model,
    config: CheckpointConfig,
    recipe: Recipe,
    out: Path,
    half: bool = True,
    bank: Sequence[TileLook] = (),
) -> Path:
    """Writes a checkpoint folder: the model, its card and the looks of its training tiles (``bank``)."""
    return save(model, config, out, model_card(config, recipe), half, bank)


def export_run(
    run: Path,
    out: Path,
    half: bool = True,
    overwrite: bool = False,
    areas_from: Path | None = None,
) -> Path:
    """Writes the averaged weights of a run's last state as a checkpoint folder ``out``; returns ``out``.

    ``half`` stores float16. With ``areas_from``, the folder of the recipe's data sets, the areas of the
    classes are fitted to those of training tiles (``training.areas``). Raises ValueError where ``run``
    holds no state that can be read.
    """
    state_file = run / STATE
    if not state_file.is_file():
        raise ValueError(f"{state_file}: no such file; is {run} the folder of a run?")
    check_target(out, overwrite, reads=[run], folder=True)
    recipe = load_recipe(run / RECIPE)
    model, config = _read_state(state_file)
    if areas_from is not None:
        found = fit_areas(model, config, training_patches(recipe, areas_from))
        before, after = (
            [round(v, 3) if np.isfinite(v) else None for v in row] for row in found[:, 1:].tolist()
        )
        said = {"over real before": before, "after": after}
        config = dataclasses.replace(config, training={**config.training, "areas": said})
    return export_model(model, config, recipe, out, half, read_bank(run / MODEL))


def state_to_resume(folder: Path) -> Path | None:
    """Path of the state in a run's folder, or None where there is none.

    Raises ValueError naming the file where it holds something else.
    """
    state = folder / STATE
    if not state.is_file():
        return None
    content = read_torch(state, A_STATE, mmap=True)
    if not isinstance(content, dict) or not {"state_dict", "global_step"} <= content.keys():
        raise ValueError(f"{state}: not {A_STATE} (it holds no state_dict and global_step)")
    return state


def _read_state(state_file: Path) -> tuple[Model, CheckpointConfig]:
    """The averaged model of a run's state, and its configuration with the steps and hours so far."""
    state = read_torch(state_file, A_STATE, mmap=True)
    try:
        kept = state["callbacks"]["Housekeeping"]
        weights = {
            key.removeprefix("average."): tensor
            for key, tensor in state["state_dict"].items()
            if key.startswith("average.")
        }
        steps, hours, described = int(state["global_step"]), float(kept["hours"]), kept["config"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # another program's file
        raise ValueError(f"{state_file}: not {A_STATE} ({one_line(error)[:200]})") from None
    config = parse(CheckpointConfig, described, str(state_file))
    training = {**config.training, "steps": steps, "hours": round(hours, 2)}
    model = build(config)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{state_file}: {one_line(error)[:200]}") from None
    model.eval().requires_grad_(False)
    return model, dataclasses.replace(config, training=training)
