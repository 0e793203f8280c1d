"""Continuing from a result, of this session or an earlier one: its layout and settings fill the form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.utils.notifications import show_warning

from napari_cosynth.types.recipe import stated, usual_sampler
from napari_cosynth.widget.docks.request_form import RequestForm
from napari_cosynth.widget.layers.placement import placement_of
from napari_cosynth.widget.layers.tags import KEY
from napari_cosynth.widget.look.look_choice import LOOK, from_recipes
from napari_cosynth.widget.result.saving import record_of
from napari_cosynth.widget.result.shown import ShownResult


def continue_from(viewer: ViewerModel, form: RequestForm, name: str) -> None:
    """Adds the result's layout as a new layer and puts its settings into the form, with its seed fixed.

    A warning lists the settings that cannot be restored, such as a checkpoint that is missing. Raises
    ValueError if there is no such result or its recipe is damaged.
    """
    shown = ShownResult(viewer, name)
    group, sample = shown.group(shown.own_layout), shown.sample
    record = record_of(group, sample)
    recipes = group.tag.recipes
    recipe = recipes[sample] if sample < len(recipes) else {}
    try:
        # The look belongs to the layout; it is restored below.
        fields = stated({key: value for key, value in recipe.items() if key != "look"})
    except ValueError as error:
        raise ValueError(f"{name}: its recipe is damaged: {error}") from None
    missing = _use_settings(form, recipe, fields)
    shape = (record.labels.shape[0], record.labels.shape[1])
    place = placement_of(shown.layers["labels"], shape, record.mpp)
    points = form.layout.add_layout(place, record.layout)
    try:
        if kept := from_recipes([recipe]):
            points.metadata[KEY][LOOK] = kept
            form.look.use_layout(points)
    except ValueError as error:
        missing.append(str(error))
    if missing:
        show_warning(f"{name}: not as it was made: {'; '.join(missing)}")


def _use_settings(
    form: RequestForm, recipe: Mapping[str, Any], fields: Mapping[str, Any]
) -> list[str]:
    """Puts a recipe's settings into the form; returns a line for each setting that it cannot restore."""
    model, sampling, missing = form.model, form.sampling, []
    checkpoint = str(recipe.get("checkpoint", ""))
    # A recipe names the checkpoint's folder; the form lists whole paths.
    names = [str(c) for c in model.checkpoint.choices if Path(str(c)).name == Path(checkpoint).name]
    if names:
        model.use(names[0])
    elif checkpoint:
        missing.append(f"no checkpoint {checkpoint} here")
    for box, key in ((model.tissue, "tissue"), (model.stain, "stain")):
        value = fields.get(key, "")
        if value in box.choices:
            box.value = value
        elif value:
            missing.append(f"no {key} {value}")
    if prompt := fields.get("prompt"):
        model.type_prompt(prompt)
    nodes = model.facts.nodes if model.facts is not None else 0
    usual = usual_sampler(nodes)
    sampler, steps = fields.get("sampler", usual[0]), fields.get("steps", usual[1])
    if not sampling.use(sampler, steps):
        missing.append(f"no sampler {sampler} of {steps} steps")
    sampling.guidance.value = float(fields.get("guidance", 1.0))
    if "seeds" in fields:
        sampling.hold(fields["seeds"][0])
    return missing
