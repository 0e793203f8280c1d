"""``cosynth recipe``: a recipe for a folder of one's own tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from napari_cosynth.datasets.survey import survey
from napari_cosynth.training.config import load_recipe
from napari_cosynth.training.own.proposal import propose, write_recipe


def write_own(
    base: str,
    folder: Path,
    kind: str | None,
    out: Path,
    steps: int,
    classes: Mapping[str, str],
    options: Mapping[str, Any],
    held_out: Sequence[str] = (),
) -> None:
    """Writes the recipe and says how to train by it; ``options`` are the reader's, None is left out.

    Raises ValueError where a class of the folder that is to be renamed is not there.
    """
    found = survey(folder, kind, watched=partial(tqdm, disable=None), **options)
    for name in classes:
        if name not in found.classes:
            raise ValueError(f"--classes: expected one of {', '.join(found.classes)}, got {name!r}")
    given = {key: value for key, value in options.items() if value is not None}
    recipe = propose(found, load_recipe(base), out.stem, steps, classes, given, held_out)
    write_recipe(recipe, out)
    kept = [name for name in found.classes if recipe.data[0].classes.get(name, name) == name]
    print(f"{out}: {found.records} tiles, {found.nuclei.total():,} nuclei")
    for own, new in recipe.data[0].classes.items():
        print(f"  {own} is {new}")
    if recipe.data[0].validation:
        print(f"  held out: {len(recipe.data[0].validation)} tiles")
    if kept:
        print(f"  as they are: {', '.join(kept)}")
    run = out.with_suffix("")
    print(
        f"train by: cosynth train {out} --init default --data {folder.absolute().parent} --out {run}"
    )
