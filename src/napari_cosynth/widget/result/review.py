"""Which nuclei of a result were looked at, kept with the result; and the class of one put right."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.types import Record
from napari_cosynth.widget.layers.results import change_recipes
from napari_cosynth.widget.layers.tags import KEY
from napari_cosynth.widget.result.nuclei import NucleusTable
from napari_cosynth.widget.result.shown import ShownResult

SEEN = "seen"
"""In a recipe: (y, x) of the pixels in which the nuclei lie that were looked at. Not their ids, which are
others once one is dropped; a nucleus that was painted on has another place, and is to be seen again."""


def seen_rows(shown: ShownResult, sample: int, table: NucleusTable) -> npt.NDArray[np.bool_]:
    """Which rows of the table were looked at, bool (M,)."""
    recipes = shown.layers["labels"].metadata[KEY]["recipes"]
    stored = recipes[sample].get(SEEN, ()) if sample < len(recipes) else ()
    known = {(int(y), int(x)) for y, x in stored}
    return np.array([place in known for place in _places(table)], bool)


def mark_seen(shown: ShownResult, sample: int, table: NucleusTable, rows: Collection[int]) -> None:
    """Notes that these rows were looked at. A place where nothing lies any more stays: undo may bring its
    nucleus back."""
    places = _places(table)

    def seen(recipe: dict[str, Any]) -> dict[str, Any]:
        known = [tuple(place) for place in recipe.get(SEEN, ())]
        new = [places[row] for row in rows if places[row] not in known]
        return {**recipe, SEEN: [list(place) for place in (*known, *new)]}

    change_recipes(shown.layers, seen, sample)


def of_class(record: Record, ids: Collection[int], name: str) -> Record:
    """The record with nuclei, and their points, of another class. Raises ValueError for an unknown."""
    if name not in record.classes.names[1:]:
        known = ", ".join(record.classes.names[1:])
        raise ValueError(f"{record.source}: unknown class {name!r}; known are: {known}")
    class_id = record.classes.names.index(name)
    labels = np.array(record.labels)
    labels[np.isin(record.instances, list(ids))] = class_id
    class_ids = np.array(record.layout.class_ids)
    rows = np.array([i - 1 for i in ids if i <= len(class_ids)], np.int64)
    class_ids[rows] = class_id
    layout = dataclasses.replace(record.layout, class_ids=class_ids)
    return dataclasses.replace(record, labels=labels, layout=layout)


def _places(table: NucleusTable) -> list[tuple[Any, ...]]:
    return [tuple(place) for place in np.floor(table.centroids + 0.5).astype(int).tolist()]
