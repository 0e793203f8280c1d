"""Checks of options' values before anything heavy is imported, so that a typo costs no ten seconds.

The rules for a value stand where it is used; this module only applies them early, by the option's name.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from napari_cosynth import registry
from napari_cosynth.io.errors import one_of
from napari_cosynth.io.paths import named
from napari_cosynth.known import (
    CONFIG,
    bundled_recipes,
    downstream_recipes,
    find_layout_model,
    find_recipe,
    locate,
    no_dataset,
    recipe_folders,
)
from napari_cosynth.types.recipe import check_device, check_numbers, look_file

WRITTEN = {"out", "target", "picture", "scratch", "encoder", "data"}
"""Options whose path need not exist; ``data`` is checked where it is needed."""
OUTPUTS = {("layout convert", "instances")}
"""Further such options, of one command only."""
LEAST = {
    "count": 1,
    "workers": 1,
    "nodes": 1,
    "pairs": 2,
    "sample": 0,
    "rounds": 0,
    "save_minutes": 0,
    "shard_mib": 0,
}
ABOVE_ZERO = ("mpp", "look_mpp", "to_mpp", "source_mpp", "patch", "hours")


def _checkpoint(value: str) -> None:
    folder = locate(value)
    if not (folder / CONFIG).is_file():
        raise ValueError(f"{value}: no checkpoint: expected a folder with {CONFIG}")


def _sampler(value: str) -> None:
    if value:
        registry.check("sampler", value)


def _recipe(name: str, options: argparse.Namespace) -> None:
    downstream = options.command == "downstream"
    find_recipe(name, downstream_recipes() if downstream else bundled_recipes())


def _dataset(value: str, option: str, recipes: Sequence[str]) -> None:
    kind, _, folder = value.partition(":")
    kinds = registry.names("dataset")
    if folder and kind in kinds and not named(folder).exists():
        raise ValueError(f"{named(folder)}: no such {'file' if named(folder).suffix else 'folder'}")
    if not ((folder and kind in kinds) or value in recipes or Path(value).exists()):
        raise ValueError(option + no_dataset(value, kinds, recipes))


def _datasets(values: Sequence[str]) -> None:
    for value in values:
        _dataset(value, "", ())


def parse_shares(words: Sequence[str]) -> dict[str, float]:
    """The numbers of ``["train=0.8", "test=0.2"]`` by name. Raises ValueError naming ``--parts``."""
    shares: dict[str, float] = {}
    for word in words:
        part, _, share = word.partition("=")
        try:
            shares[part] = float(share)
        except ValueError:
            raise ValueError(f"--parts: expected NAME=SHARE, got {word!r}") from None
        if not part.isidentifier() or word.count("=") != 1:
            raise ValueError(f"--parts: expected NAME=SHARE, got {word!r}")
    return shares


def parse_mapping(words: Sequence[str]) -> dict[str, str]:
    """The new name by the old one, of ``["old=new", ...]``. Raises ValueError naming ``--classes``."""
    mapping: dict[str, str] = {}
    for word in words:
        old, equals, new = word.partition("=")
        if not (old and equals and new):
            raise ValueError(f"--classes: expected OLD=NEW, got {word!r}")
        mapping[old] = new
    return mapping


def _sets(values: Sequence[str], options: argparse.Namespace) -> None:
    name = getattr(options, "recipe", None) or getattr(options, "against", "")
    folders = recipe_folders(str(name))
    for value in values:
        if folders and value not in folders:
            raise ValueError(f"--sets: {one_of(value, folders)}")


def _nuclei(value: str) -> None:
    kind, _, folder = value.partition(":")
    known = folder and kind in registry.names("dataset")
    if not (named(folder) if known else Path(value)).exists():
        raise ValueError(f"{value}: no such {'folder' if known else 'file'}")


Check: TypeAlias = Callable[[Any, argparse.Namespace], object]


def _of(check: Callable[[Any], object]) -> Check:
    """A check of a value that does not depend on the other options."""
    return lambda value, options: check(value)


CHECKS: Mapping[str | tuple[str, str], Check] = {
    "recipe": _recipe,
    "sets": _sets,
    ("layout convert", "source"): _of(_nuclei),
    "steps": _of(lambda value: check_numbers(steps=value)),
    "guidance": _of(lambda value: check_numbers(guidance=value)),
    "seed": _of(lambda value: check_numbers(seeds=(value,))),
    "sampler": _of(_sampler),
    "match_method": _of(lambda value: registry.check("normaliser", value)),
    "device": _of(check_device),
    "look": _of(look_file),
    "checkpoint": _of(_checkpoint),
    "init": _of(_checkpoint),
    "model": _of(find_layout_model),
    "against": _of(lambda value: _dataset(value, "--against: ", list(bundled_recipes()))),
    "dataset": _of(lambda value: _dataset(value, "", list(bundled_recipes()))),
    "datasets": _of(_datasets),
    "parts": _of(parse_shares),
    "classes": _of(parse_mapping),
}
"""Checks by option, or by command and option; each raises ValueError for a wrong value."""


def check_values(options: argparse.Namespace, command: str) -> None:
    """Raises ValueError in one line naming the option or file of a wrong value.

    Imports nothing that takes long.
    """
    for key, value in vars(options).items():
        if value is None:
            continue
        option = "--" + key.replace("_", "-")
        least = 1 if (command, key) == ("train-segmenter", "steps") else LEAST.get(key)
        if least is not None and not value >= least:
            expected = f"at least {least}" if least else "0 or more"
            raise ValueError(f"{option}: expected {expected}, got {value:g}")
        if key in ABOVE_ZERO and not (0 < value < math.inf):
            raise ValueError(f"{option}: expected above 0, got {value:g}")
        if check := CHECKS.get((command, key), CHECKS.get(key)):
            check(value, options)
        if key in WRITTEN or (command, key) in OUTPUTS:
            continue
        for path in value if isinstance(value, list) else [value]:
            if isinstance(path, Path) and not path.exists():
                what = "file" if path.suffix else "file or folder"
                raise ValueError(f"{path}: no such {what}")
