"""Where a result's labels were corrected since its image was painted, and painting it there anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.geometry.prompt import build_prompt
from napari_cosynth.types import Record, Request, Synthesis
from napari_cosynth.types.recipe import stated
from napari_cosynth.widget.layers.results import change_recipes
from napari_cosynth.widget.result.saving import drawn_record
from napari_cosynth.widget.result.shown import ShownResult

PAINTED = "cosynth_painted"
"""``layer.metadata[PAINTED]`` of labels: sample -> (labels, instances) that the image was painted for."""
RECIPE_KEY = "repainted"
"""In a recipe: how the image was painted anew where its labels were corrected."""


def corrected(shown: ShownResult) -> npt.NDArray[np.bool_]:
    """Where the image of the shown sample does not show its labels, bool (H, W)."""
    group, sample = shown.group(), shown.sample
    drawn = drawn_record(group, sample)
    painted = shown.layers["labels"].metadata.get(PAINTED, {}).get(sample)
    if painted is None:
        raw = group.raw(sample)
        painted = (
            (raw.labels, raw.instances) if raw is not None else (drawn.labels, drawn.instances)
        )
    labels, instances = painted
    # Ids may be others and the nuclei the same: what counts are classes and borders.
    return np.asarray((labels != drawn.labels) | (_borders(instances) != _borders(drawn.instances)))


def _borders(instances: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Where a pixel's right or lower neighbour is of another nucleus, bool (H, W)."""
    found = np.zeros(instances.shape, bool)
    found[:-1] |= instances[:-1] != instances[1:]
    found[:, :-1] |= instances[:, :-1] != instances[:, 1:]
    return found


def repaint_request(form: Request, record: Record, recipe: dict[str, Any]) -> Request:
    """The form's request for a record: its layout, prompt, tissue and stain; the look that it has."""
    names = [record.classes.names[i] for i in np.unique(record.layout.class_ids)]
    known = stated(recipe)
    return replace(
        form,
        layout=record.layout,
        prompt=build_prompt(names, record.tissue, record.stain),
        tissue=record.tissue,
        stain=record.stain,
        **{key: known[key] for key in ("look", "look_of", "seeds") if key in known},
    )


def put_painted(shown: ShownResult, sample: int, made: Synthesis) -> None:
    """Shows the painted image, and notes in the recipe how it was made."""
    labels, record = shown.layers["labels"], made.record
    shown.show_image(record.image, sample)
    known = dict(labels.metadata.get(PAINTED, {}))
    labels.metadata[PAINTED] = {**known, sample: (record.labels, record.instances)}
    how = {name: made.recipe[name] for name in ("checkpoint", "seed", "sampler", "steps")}
    change_recipes(shown.layers, lambda recipe: {**recipe, RECIPE_KEY: how}, sample)


def show_as_made(shown: ShownResult, sample: int, raw: Record) -> None:
    """Takes a painted image back, with its note."""
    labels = shown.layers["labels"]
    painted = dict(labels.metadata.get(PAINTED, {}))
    if painted.pop(sample, None) is None:
        return
    labels.metadata[PAINTED] = painted
    shown.show_image(raw.image, sample)
    change_recipes(shown.layers, _without_note, sample)


def _without_note(recipe: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in recipe.items() if key != RECIPE_KEY}
