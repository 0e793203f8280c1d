"""Review of a result's nuclei: which were seen, kept in its recipe; nuclei given another class."""

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
"""Key in a recipe: centre pixels (y, x) of the nuclei that were seen.

Not their ids, because ids change when a nucleus is dropped. Painting on a nucleus moves its centre, so
it must be seen again."""


def seen_rows(shown: ShownResult, sample: int, table: NucleusTable) -> npt.NDArray[np.bool_]:
    """Mask of the table's rows that were seen, bool (M,)."""
    recipes = shown.layers["labels"].metadata[KEY]["recipes"]
    stored = recipes[sample].get(SEEN, ()) if sample < len(recipes) else ()
    known = {(int(y), int(x)) for y, x in stored}
    return np.array([place in known for place in _places(table)], bool)


def mark_seen(shown: ShownResult, sample: int, table: NucleusTable, rows: Collection[int]) -> None:
    """Notes in the recipe that these rows were seen.

    Entries of nuclei that are gone stay, because undo may bring them back.
    """
    places = _places(table)

    def seen(recipe: dict[str, Any]) -> dict[str, Any]:
        known = [tuple(place) for place in recipe.get(SEEN, ())]
        new = [places[row] for row in rows if places[row] not in known]
        return {**recipe, SEEN: [list(place) for place in (*known, *new)]}

    change_recipes(shown.layers, seen, sample)


def of_class(record: Record, ids: Collection[int], name: str) -> Record:
    """The record with another class for these nuclei and their points.

    Raises ValueError if the class is unknown.
    """
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
