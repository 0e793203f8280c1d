"""Lengths in microscope files: units, numbers, and checks of a pixel size (µm/px)."""

from __future__ import annotations

import numpy as np

LARGEST_MPP = 10.0
"""Largest µm/px of a resolution tag; a larger one is a print resolution (2540 dpi or less)."""
LARGEST_STATED = 1000.0
"""Largest µm/px that a file may state outright; a DICOM overview can have very large pixels."""
_WORDS = {
    "angstrom": 1e-4,
    "picometer": 1e-6,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "micron": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "decimeter": 1e5,
    "meter": 1e6,
    "inch": 25400.0,
}
_SYMBOLS = {
    "Å": 1e-4,
    "pm": 1e-6,
    "nm": 1e-3,
    "µm": 1.0,
    "um": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "dm": 1e5,
    "m": 1e6,
    "in": 25400.0,
    '"': 25400.0,
}
"""Symbols of OME-XML and ImageJ -> µm. Case counts: ``mm`` is not ``Mm``."""


def micrometres(unit: object) -> float | None:
    """The µm in one of a unit; None for an unknown unit or one that is no length, such as ``pixel``."""
    if not isinstance(unit, str):
        return None
    # ImageJ escapes the micro sign. Unicode has two micro signs and two letters Å.
    plain = unit.strip().replace("\\u00B5", "µ").replace("\\u00b5", "µ")
    plain = plain.replace("\u03bc", "µ").replace("\u212b", "Å")
    if plain in _SYMBOLS:
        return _SYMBOLS[plain]
    word = plain.lower().removesuffix("s").replace("metre", "meter").replace("ångström", "angstrom")
    return _WORDS.get(word)


def number(text: str) -> float | None:
    """A text as a number, also with a decimal comma or in scientific notation; None if it is none."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def plausible_mpp(x: float, y: float, largest: float = LARGEST_MPP) -> float | None:
    """The side of a pixel of ``x`` by ``y`` µm; None unless it is square and 0.01..``largest`` µm."""
    square = np.isclose(x, y, rtol=0.01)
    return float(x) if square and 0.01 < x < largest else None


def stated_mpp(value: object) -> float | None:
    """A number or text that states µm/px, as a number; None if it cannot be a pixel size."""
    size = number(str(value))
    return None if size is None else plausible_mpp(size, size)
