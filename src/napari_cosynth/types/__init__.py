"""The core types: frozen dataclasses over numpy arrays, checked where they are made.

Every array's shape, dtype, unit and range stands in its field's docstring. Coordinates are ``(y, x)``
in pixels with pixel centres at integers, as in napari, so a canvas of shape ``(H, W)`` covers
``[-0.5, H - 0.5) x [-0.5, W - 0.5)``.
"""

from napari_cosynth.types.annotation import H_AND_E, Layout, Record
from napari_cosynth.types.classes import BACKGROUND, ClassTable, default_palette
from napari_cosynth.types.recipe import Recipe, Request
from napari_cosynth.types.sampling import NO_PREVIEWS, Previews, Progress, Report, Synthesis

__all__ = [
    "BACKGROUND",
    "H_AND_E",
    "NO_PREVIEWS",
    "ClassTable",
    "Layout",
    "Previews",
    "Progress",
    "Recipe",
    "Record",
    "Report",
    "Request",
    "Synthesis",
    "default_palette",
]
