"""Looks of a plan's samples: one for all, or those of a folder of reference images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_cosynth.generate.plan import IMAGES, Plan
from napari_cosynth.io.settings import parse
from napari_cosynth.synthesis.looks import Asked, look_from
from napari_cosynth.types.recipe import BY_SEED

FILE = "looks.json"
"""File of a run's folder with the looks of its reference images, so that a resume needs no image."""


def plan_looks(plan: Plan, data_root: Path, own_mpp: float) -> tuple[Asked, ...]:
    """The looks to share out among the samples, one or more; ``own_mpp`` is the checkpoint's µm/px.

    Raises ValueError where the folder is missing or empty, or where an image in it is no reference.
    """
    if not plan.look.startswith(IMAGES):
        return ((plan.look, ""),)
    folder = data_root / plan.look.removeprefix(IMAGES)
    files = sorted(f for f in folder.glob("*") if f.is_file() and not f.name.startswith("."))
    if not files:
        raise ValueError(f"look: {folder}: no such folder, or no image in it")
    return tuple(look_from(str(file), own_mpp, plan.look_mpp) for file in files)


def look_at(looks: Sequence[Asked], plan_seed: int, index: int) -> Asked:
    """The look of sample ``index``. Samples use each look once a round; seed and round draw the order."""
    order = np.random.default_rng([plan_seed, index // len(looks)]).permutation(len(looks))
    return looks[int(order[index % len(looks)])]


def save_looks(looks: Sequence[Asked], folder: Path) -> None:
    """Writes the looks to a run's folder."""
    (folder / FILE).write_text(
        json.dumps([list(asked) for asked in looks]) + "\n", encoding="utf-8"
    )


def load_looks(folder: Path) -> tuple[Asked, ...]:
    """The looks that :func:`save_looks` wrote. Raises ValueError naming a damaged file."""
    file = folder / FILE
    if not file.is_file():  # the run was begun by a version without looks
        return ((BY_SEED, ""),)
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{file}: cannot be read as JSON ({error})") from None
    looks: tuple[Asked, ...] = parse(
        tuple[tuple[str | tuple[float, ...], str], ...], table, str(file)
    )
    return looks
