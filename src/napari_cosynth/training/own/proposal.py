"""A recipe for a folder of one's own tiles, from a bundled recipe and a survey of the folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_cosynth.datasets.survey import Survey
from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.io.settings import plain, toml_text
from napari_cosynth.training.config import DataConfig, Recipe
from napari_cosynth.training.records import validation_names

HELD_OUT = 0.15
"""Share of the tiles, or of the slides where several are of one, that is kept for validation."""
GRID = 16
"""Patches are cut to multiples of so many pixels."""
LEAST_PATCH = 32
"""Pixels a side; on less there is nothing to learn from."""
MOST_IN_MEMORY = 150e6
"""Pixels on the recipe's grid, of 12 bytes; a larger data set is read while it is trained on."""


def propose(
    found: Survey,
    base: Recipe,
    name: str,
    steps: int,
    classes: Mapping[str, str],
    options: Mapping[str, Any],
    held_out: Sequence[str] = (),
) -> Recipe:
    """A recipe that trains as ``base`` does on its largest patches, for ``steps`` steps, on a folder.

    ``classes`` takes class names of the folder to those of the recipe: one of ``base``, or a new one;
    a class that it does not name keeps its name. ``options`` are the reader's, such as ``mpp`` and
    ``tissue``. Whole tiles are kept for validation: those whose name has one of the texts ``held_out``,
    such as a patient's number, or without such texts some that are chosen by hashes of their names.
    Raises ValueError where the folder holds no nuclei, its tiles are too small, ``steps`` are none, or
    ``held_out`` leaves no tile on one of the two sides.
    """
    if not found.nuclei:
        raise ValueError(f"{found.path}: no nuclei in it to train on")
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")
    side = int(found.least_side / base.mpp) // GRID * GRID
    if side < LEAST_PATCH:
        raise ValueError(
            f"{found.path}: expected tiles of at least {LEAST_PATCH} pixels a side at {base.mpp:g} "
            f"µm/px, got {found.least_side / base.mpp:.0f}"
        )
    mapping = {own: classes.get(own, own) for own in found.classes}
    fits = found.area / base.mpp**2 <= MOST_IN_MEMORY
    data = DataConfig(
        found.kind,
        found.path.name,
        classes={own: new for own, new in mapping.items() if own != new},
        options=dict(options),
        in_memory=fits,
        **(_named(found, held_out) if held_out else _held_out(found.slides)),
    )
    largest = max(base.stages, key=lambda stage: stage.crop)
    stage = dataclasses.replace(largest, steps=steps, crop=min(largest.crop, side))
    rates = base.optimizer
    return dataclasses.replace(
        base,
        name=name,
        classes=tuple(dict.fromkeys((*base.classes, *mapping.values()))),
        data=(data,),
        stages=(stage,),
        optimizer=dataclasses.replace(
            rates, warmup=min(rates.warmup, steps), decay=min(rates.decay, steps // 3)
        ),
        class_balance=base.class_balance if fits else 0.0,
        stains=tuple(dict.fromkeys((*base.stains, *found.stains))),
        validate_every=min(base.validate_every, steps),
        validation_crop=min(base.validation_crop, side),
        sample_shape=min(base.sample_shape, side),
        licence="",
        notes=f"Trained on {found.records:,} tiles of {found.path.name}.",
    )


def _held_out(slides: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a :class:`DataConfig` that keep whole tiles, and whole slides where several tiles
    are of one, for validation."""
    several = sorted(set(slides.values()))
    if len(slides) < 2:
        return {}
    if len(several) in (1, len(slides)):  # one slide, or each tile of its own: by tile
        return {"validation_share": max(HELD_OUT, 1 / len(slides))}
    kept = set(validation_names(several, HELD_OUT))
    return {"validation": tuple(name for name, slide in slides.items() if slide in kept)}


def _named(found: Survey, texts: Sequence[str]) -> dict[str, Any]:
    """The field of a :class:`DataConfig` that keeps the tiles whose name has one of ``texts``."""
    for text in texts:
        if not any(text in name for name in found.slides):
            raise ValueError(f"{found.path}: no tile to hold out has {text!r} in its name")
    kept = tuple(name for name in found.slides if any(text in name for text in texts))
    if len(kept) == len(found.slides):
        raise ValueError(f"{found.path}: all tiles are held out; none is left to train on")
    return {"validation": kept}


def write_recipe(recipe: Recipe, path: Path) -> Path:
    """Writes a recipe as TOML, without what is as it always is. Replaces a file that is there."""
    lines = toml_text(_said(recipe))
    with replaced_file(path) as fresh:
        fresh.write_text(lines, encoding="utf-8")
    return path


def _said(value: Any) -> Any:
    """A dataclass as a plain table without the fields that have their defaults."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_said(one) for one in value]
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return plain(value)
    table = {}
    for field in dataclasses.fields(value):
        given = getattr(value, field.name)
        made = field.default_factory
        usual = field.default if made is dataclasses.MISSING else made()
        if usual is dataclasses.MISSING or given != usual:
            table[field.name] = _said(given)
    return table
