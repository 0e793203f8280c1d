"""Tags of the plugin's layers, in ``layer.metadata["cosynth"]``.

============  =====================================================================================
``role``      ``image``, ``labels``, ``instances``, ``distance`` or ``layout``
``result``    name that the layers of one result share
``classes``   class names, background first
``colors``    RGB of each class, 0..255
``mpp``       micrometres per pixel of the layer's data
``tissue``    as a prompt names it; empty if unknown
``stain``
``recipes``   one dictionary per sample: its entry in a stack's ``cosynth.json``
``unfinished`` true while the layer shows an estimate; such a result is not saved
============  =====================================================================================

Readers put these tags on the layers they make; writers use them to find the layers to save.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_cosynth.types import H_AND_E, ClassTable

KEY = "cosynth"
ROLES = ("image", "labels", "instances", "distance", "layout")


@dataclass(frozen=True)
class Tag:
    """The content of ``metadata["cosynth"]``; see the module's table."""

    role: str
    result: str
    classes: ClassTable
    mpp: float
    tissue: str = ""
    stain: str = H_AND_E
    recipes: tuple[Mapping[str, Any], ...] = ()

    def metadata(self) -> dict[str, Any]:
        """``{"cosynth": {...}}``, JSON-ready."""
        content = {
            "role": self.role,
            "result": self.result,
            "classes": list(self.classes.names),
            "colors": self.classes.colors.tolist(),
            "mpp": self.mpp,
            "tissue": self.tissue,
            "stain": self.stain,
            "recipes": [dict(r) for r in self.recipes],
        }
        return {KEY: content}


def read_tag(metadata: Mapping[str, Any]) -> Tag | None:
    """The tag in a layer's metadata; None if it has no valid tag."""
    content = metadata.get(KEY)
    if not isinstance(content, Mapping) or content.get("role") not in ROLES:
        return None
    try:
        names = tuple(str(n) for n in content["classes"])
        return Tag(
            role=content["role"],
            result=str(content["result"]),
            classes=ClassTable(names, np.array(content["colors"], np.uint8)),
            mpp=float(content["mpp"]),
            tissue=str(content.get("tissue", "")),
            stain=str(content.get("stain", H_AND_E)),
            recipes=tuple(dict(r) for r in content.get("recipes", ())),
        )
    except (KeyError, TypeError, ValueError):
        return None


def unwrapped(value: Any) -> Any:
    """A layer or viewer itself. Plugins get napari's wrapper, which warns about private attributes."""
    return getattr(value, "__wrapped__", value)
