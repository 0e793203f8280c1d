"""Units of length as microscopes' files write them, in micrometres."""

from __future__ import annotations

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
