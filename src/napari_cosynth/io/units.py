"""Lengths as microscopes' files write them: units, numbers, and which of them are a pixel's size."""

from __future__ import annotations

import numpy as np

LARGEST_MPP = 10.0
"""A resolution tag above it is a print resolution (2540 dpi or less), not a microscope's."""
LARGEST_STATED = 1000.0
"""A size that DICOM states in so many words may be an overview's."""
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
"""OME-XML's and ImageJ's; they tell ``mm`` from ``Mm``, so their case counts."""


def micrometres(unit: object) -> float | None:
    """How many µm a unit has; None for those that are no length, such as ``pixel``, and unknown ones."""
    if not isinstance(unit, str):
        return None
    # ImageJ escapes the micro sign; Unicode has two, and two of the letter Å.
    plain = unit.strip().replace("\\u00B5", "µ").replace("\\u00b5", "µ")
    plain = plain.replace("\u03bc", "µ").replace("\u212b", "Å")
    if plain in _SYMBOLS:
        return _SYMBOLS[plain]
    word = plain.lower().removesuffix("s").replace("metre", "meter").replace("ångström", "angstrom")
    return _WORDS.get(word)


def number(text: str) -> float | None:
    """In scientific notation too, and with the decimal comma of some locales."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def plausible_mpp(x: float, y: float, largest: float = LARGEST_MPP) -> float | None:
    """A pixel size as a microscope's, in µm; None where it is none or pixels are not square."""
    square = np.isclose(x, y, rtol=0.01)
    return float(x) if square and 0.01 < x < largest else None


def stated_mpp(value: object) -> float | None:
    """A number or text that is called µm/px, where it can be one."""
    size = number(str(value))
    return None if size is None else plausible_mpp(size, size)
