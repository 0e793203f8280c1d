"""Repaint of a result's image where its labels were corrected after the image was painted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.geometry.prompt import build_prompt
from napari_cosynth.types import Record, Request, Synthesis
from napari_cosynth.types.recipe import stated
from napari_cosynth.widget.layers.results import change_recipes, groups
from napari_cosynth.widget.layers.tags import KEY
from napari_cosynth.widget.result.saving import drawn_record
from napari_cosynth.widget.result.shown import ShownResult
from napari_cosynth.widget.run.sampling_controls import LARGEST_SEED

PAINTED = "cosynth_painted"
"""``layer.metadata[PAINTED]`` of labels: sample -> the (labels, instances) that its image was painted
for."""
RECIPE_KEY = "repainted"
"""Key in a recipe: how the image was painted anew where its labels were corrected."""


@dataclass(frozen=True)
class Wanted:
    """Wish for a repaint: the pixels in ``changed`` are painted anew, the labels stay."""

    shown: ShownResult
    sample: int
    record: Record
    changed: npt.NDArray[np.bool_]
    """Mask of the pixels to paint, bool (H, W)."""
    another: bool = False
    """Whether to use another seed: with the same labels, the same seed gives the same pixels."""
    before_shown: Callable[[], None] = lambda: None
    """Called after the painting, while the old image is still shown."""

    @property
    def is_current(self) -> bool:
        """Whether the result is there and its labels are those that it is to be painted for."""
        if "labels" not in groups(self.shown.viewer).get(self.shown.name, {}):
            return False
        labels = self.shown.group().data("labels").reshape(-1, *self.changed.shape)
        return np.array_equal(labels[self.sample], self.record.labels)


@dataclass(frozen=True)
class Painting:
    """A sample's current image, and how it was painted."""

    pixels: npt.NDArray[np.uint8]
    painted_for: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]] | None = None
    """Labels and instances that the image was repainted for; None if it never was."""
    how: dict[str, Any] | None = None
    """The recipe's entry about the repaint."""


def corrected(shown: ShownResult) -> npt.NDArray[np.bool_]:
    """Mask of the pixels where the shown sample's image does not fit its labels, bool (H, W)."""
    group, sample = shown.group(), shown.sample
    drawn = drawn_record(group, sample)
    painted = shown.layers["labels"].metadata.get(PAINTED, {}).get(sample)
    if painted is None:
        raw = group.raw(sample)
        painted = (
            (raw.labels, raw.instances) if raw is not None else (drawn.labels, drawn.instances)
        )
    labels, instances = painted
    # Compare classes and borders, not ids: the same nuclei may have other ids.
    return np.asarray((labels != drawn.labels) | (_borders(instances) != _borders(drawn.instances)))


def _borders(instances: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Mask of pixels whose right or lower neighbour belongs to another instance, bool (H, W)."""
    found = np.zeros(instances.shape, bool)
    found[:-1] |= instances[:-1] != instances[1:]
    found[:, :-1] |= instances[:, :-1] != instances[:, 1:]
    return found


def repaint_request(form: Request, wanted: Wanted) -> Request:
    """The form's request, with the record's layout, prompt, tissue and stain, and the recipe's look.

    The seed is the recipe's, or the next one if ``wanted.another``. Raises ValueError if the result's
    recipe is damaged.
    """
    record = wanted.record
    names = [record.classes.names[i] for i in np.unique(record.layout.class_ids)]
    recipe = _recipe(wanted.shown, wanted.sample)
    known = stated(recipe)
    request = replace(
        form,
        layout=record.layout,
        prompt=build_prompt(names, record.tissue, record.stain),
        tissue=record.tissue,
        stain=record.stain,
        **{key: known[key] for key in ("look", "look_of", "seeds") if key in known},
    )
    if wanted.another:
        last = recipe.get(RECIPE_KEY, {}).get("seed", request.seeds[0])
        request = replace(request, seeds=((int(last) + 1) % (LARGEST_SEED + 1),))
    return request


def put_painted(wanted: Wanted, made: Synthesis) -> None:
    """Shows the painted image, and writes into the recipe how it was made."""
    wanted.before_shown()
    record = made.record
    how = {name: made.recipe[name] for name in ("checkpoint", "seed", "sampler", "steps")}
    painting = Painting(record.image, (record.labels, record.instances), how)
    put_painting(wanted.shown, wanted.sample, painting)


def painting_of(shown: ShownResult, sample: int) -> Painting:
    """The current image of a sample, and how it was painted."""
    image = shown.layers["image"].data
    return Painting(
        image[sample] if image.ndim == 4 else image,
        shown.layers["labels"].metadata.get(PAINTED, {}).get(sample),
        _recipe(shown, sample).get(RECIPE_KEY),
    )


def put_painting(shown: ShownResult, sample: int, painting: Painting) -> None:
    """Shows an image, and replaces what the metadata and the recipe say about its painting."""
    metadata = shown.layers["labels"].metadata
    known = {key: value for key, value in metadata.get(PAINTED, {}).items() if key != sample}
    if painting.painted_for is not None:
        known[sample] = painting.painted_for
    metadata[PAINTED] = known
    if not np.array_equal(painting_of(shown, sample).pixels, painting.pixels):
        shown.show_image(painting.pixels, sample)

    def noted(recipe: dict[str, Any]) -> dict[str, Any]:
        rest = {key: value for key, value in recipe.items() if key != RECIPE_KEY}
        return rest if painting.how is None else {**rest, RECIPE_KEY: painting.how}

    change_recipes(shown.layers, noted, sample)


def show_as_made(shown: ShownResult, sample: int, raw: Record) -> None:
    """Undoes all repaints: shows the image as made and removes the recipe's entry."""
    if sample in shown.layers["labels"].metadata.get(PAINTED, {}):
        put_painting(shown, sample, Painting(raw.image))


def _recipe(shown: ShownResult, sample: int) -> dict[str, Any]:
    recipes = shown.layers["labels"].metadata[KEY]["recipes"]
    return dict(recipes[sample]) if sample < len(recipes) else {}
