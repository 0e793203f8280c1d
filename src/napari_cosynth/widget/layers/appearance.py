"""How the points of a layout look: a colour and a symbol for each class, and their size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.types import ClassTable

POINT_SIZE = 7.0
"""Diameter of a point in canvas pixels: about a lymphocyte at 0.5 µm/px."""
MANY_POINTS = 5000
"""Number of points above which edges are not smoothed: without a graphics card this halves the time of
a frame."""
SYMBOLS = ("disc", "square", "triangle_up", "diamond", "star", "triangle_down", "cross")
"""Symbols of the classes in their order, for users who cannot tell the colours apart. The ring marks
points that were missed, the ``x`` points outside the canvas."""
EOSIN, NEAR_EOSIN = np.array([214, 140, 180]), 50.0
"""RGB of a slide's pink, and the RGB distance below which a colour cannot be seen on it."""
SEEN_ON_PINK = np.array([200, 255, 120], np.uint8)
"""Colour used instead; colour-blind users can tell it from the other classes' colours, too."""


def seen_colors(classes: ClassTable) -> npt.NDArray[np.uint8]:
    """The classes' colours as shown, uint8 (K, 3): their own unless it is too close to eosin's pink."""
    hidden = np.linalg.norm(classes.colors.astype(float) - EOSIN, axis=1) < NEAR_EOSIN
    return np.where(hidden[:, None], SEEN_ON_PINK, classes.colors)


def rgba(classes: ClassTable) -> npt.NDArray[np.float64]:
    """The shown colours as napari takes them, float64 (K, 4) in 0..1."""
    return np.hstack([seen_colors(classes) / 255.0, np.ones((len(classes), 1))])


def smoothing(points: int) -> float:
    """napari's ``antialiasing`` for a layout with this number of points, in screen pixels."""
    return 0.0 if points > MANY_POINTS else 1.0


def class_cycle(classes: ClassTable) -> dict[str, npt.NDArray[np.float64]]:
    """Class name -> RGBA, as napari's ``face_color_cycle``."""
    return dict(zip(classes.names, rgba(classes), strict=True))


def class_symbols(ids: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.object_]:
    """napari's symbol for each class id: classes differ in form as well as in colour."""
    return np.array(SYMBOLS, object)[(ids - 1) % len(SYMBOLS)]
