"""Labels layers whose drawings of a polygon and a brush's stroke are built when they are first needed.

napari builds both with the layer. They are most of what adding a Labels layer takes, and few results are
ever painted.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from napari.layers import Labels

from napari_cosynth.widget.layers.tags import unwrapped

TOOLS = ("polygon", "brush_stroke")
"""napari's names of the drawings; a version may lack the second."""


def build_when_used(layer: Labels) -> Labels:
    """The same layer, not yet in a viewer; a drawing is built when its tool is chosen."""
    own = unwrapped(layer)
    for name in TOOLS:
        drawing = own._overlays.get(name)
        if drawing is not None and drawing.visible and not drawing.enabled:
            drawing.visible = False  # napari builds no drawing that cannot be seen
            drawing.events.enabled.connect(partial(_show, drawing))
    return layer


def _show(drawing: Any, event: object = None) -> None:
    if drawing.enabled:
        drawing.visible = True
