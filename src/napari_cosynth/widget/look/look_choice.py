"""The choice of a look, kept with its layout, or apart while there is no layout.

It is a JSON object in the layout's ``metadata["cosynth"]["look"]``: ``kind``, what identifies the
reference and, once measured, its numbers. So the look survives when layer or file are gone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.layers import Points

from napari_cosynth.types.recipe import NO_LOOK, asked_again
from napari_cosynth.widget.layers.tags import KEY
from napari_cosynth.widget.look.look_reference import Measured

BELOW, LAYER, FILE, SEED = "from below", "layer…", "file…", "by seed"
KEPT = "as sampled"
LOOK = "look"
"""Key in a layout's ``metadata["cosynth"]``. Without it the look is that of the image below, or by seed
if there is no image below."""

Asked = tuple[str | tuple[float, ...], str]
"""The pair ``Request.look`` and ``Request.look_of``."""


class LookChoice:
    """The choice of one layout at a time."""

    def __init__(self) -> None:
        self.points: Points | None = None
        self._without: dict[str, Any] = {}  # the choice while there is no layout

    @property
    def stored(self) -> dict[str, Any]:
        """The choice as it is kept; empty if nothing was chosen."""
        if self.points is None:
            return self._without
        found = self.points.metadata[KEY].get(LOOK, {})
        return found if isinstance(found, dict) else {}

    @property
    def kind(self) -> str:
        """``BELOW``, ``LAYER``, ``FILE``, ``SEED`` or ``KEPT``."""
        return str(self.stored.get("kind", BELOW))

    @property
    def own_name(self) -> str | None:
        """The reference in words if it is a certain layer, file or sample; else None."""
        stored = self.stored
        names = {
            LAYER: f"layer {stored.get('name')}",
            FILE: f"file {Path(str(stored.get('path'))).name}",
            KEPT: KEPT,
        }
        return names.get(self.kind)

    @property
    def measured(self) -> Asked | None:
        """The kept numbers and what they were measured on; None if there are none."""
        stored = self.stored
        if LOOK not in stored:
            return None
        numbers = stored[LOOK]
        return (NO_LOOK if numbers is None else tuple(numbers)), str(stored.get("look_of", ""))

    def use_layout(self, points: Points | None) -> None:
        """Takes this layout's choice; that of its sample if it is from a stack and has none.

        Raises ValueError if the look in the sample's recipe is not valid; the layout is taken all the
        same.
        """
        self.points = points
        if points is None or LOOK in points.metadata[KEY]:
            return
        try:
            kept = from_recipes(points.metadata[KEY].get("recipes", ()))
        except ValueError as error:
            raise ValueError(f"{points.name}: {error}") from None
        if kept:
            points.metadata[KEY][LOOK] = kept

    def choose(self, choice: dict[str, Any]) -> None:
        """Replaces the choice."""
        if self.points is None:
            self._without = choice
        else:
            self.points.metadata[KEY][LOOK] = choice

    def keep(self, found: Measured | None) -> None:
        """Keeps the numbers of a layer or a file with the choice, so that they survive it."""
        if found is not None and self.kind in (LAYER, FILE):
            self.stored[LOOK], self.stored["look_of"] = list(found[0]), found[1]

    def explained(self, value: str, found: Measured | None) -> str:
        """What the next sample follows, for the tooltip of the box that shows ``value``."""
        whose = found[1] if found else str(self.stored.get("look_of", ""))
        if value == SEED:
            return "Each seed draws a training tile of that tissue and follows its look"
        if value == KEPT and self.stored.get(LOOK) is None:
            return "As the sample that it was opened with: no look"
        return "Stain and grain of the next sample: as " + (whose or "what is below")


def from_recipes(recipes: Any) -> dict[str, Any]:
    """The choice for a layout from a stack, from its sample's recipe; empty if the recipe has no look.

    Raises ValueError if the recipe's look is not valid.
    """
    asked = asked_again(recipes[0]) if len(recipes) == 1 else None
    if asked is None:
        return {}
    look, look_of = asked
    return {"kind": KEPT, LOOK: None if look == NO_LOOK else list(look), "look_of": look_of}
