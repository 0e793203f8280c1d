"""Suggestions of the class that another program's class name most likely means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from napari_cosynth.types import BACKGROUND, ClassTable
from napari_cosynth.types.classes import BUNDLED

NO_CLASS = "no class"
"""Name of nuclei without a class, where they need one."""
# Each row has names of one kind, from QuPath, PanNuke, CoNSeP, CoNIC, Lizard, NuCLS, MoNuSAC and ours.
KINDS: tuple[tuple[str, ...], ...] = (
    (
        "inflammatory",
        "immune",
        "lymphocyte",
        "plasma",
        "neutrophil",
        "eosinophil",
        "macrophage",
        "til",
    ),
    ("malignant", "neoplastic", "tumor", "tumour", "cancer", "dysplastic", "carcinoma"),
    ("healthy", "epithelial", "epithelium", "benign", "normal", "non-neoplastic"),
    ("spindle", "connective", "stroma", "stromal", "fibroblast", "muscle", "endothelial"),
    ("miscellaneous", "other", "ignore", "dead", "necrosis", "apoptotic"),
    ("unspecified", "nucleus", "nuclei", "cell", "unlabelled", "nolabel", "ambiguous", ""),
)


def suggest(names: Iterable[str], classes: ClassTable) -> dict[str, str]:
    """The class of ``classes`` that each name most likely means; names without one are left out."""
    return {name: found for name in names if (found := _suggested(name, classes))}


def _suggested(name: str, classes: ClassTable) -> str:
    known = classes.names[1:]
    for own in known:
        if own.casefold() == name.strip().casefold():
            return own
    ranked = [(_kinds(name), name), *((_kinds(own), own) for own in known)]
    wanted = ranked[0][0]
    for kind in wanted:
        for kinds, own in ranked[1:]:
            if kind in kinds[:1]:
                return own
    return known[0] if len(known) == 1 else ""


def _kinds(name: str) -> list[int]:
    """Indices of the kinds that the words of a name belong to, in the order of the words."""
    text = name.strip().casefold()
    if text in ("", NO_CLASS):
        return [len(KINDS) - 1]
    if "non-neoplastic" in text or "non neoplastic" in text:
        return [2]
    words = re.findall(r"[a-z]+", text)
    found = []
    for word in words:
        for kind, members in enumerate(KINDS):
            if any(member and (word == member or word.rstrip("s") == member) for member in members):
                found.append(kind)
    return found


def own_table(names: Sequence[str]) -> tuple[ClassTable, npt.NDArray[np.int64]]:
    """A class table for a file's own class names, and the id of each name, int64 (N,).

    It is the bundled model's table where all names are names or ids of it, else a table of the file's
    names.
    """
    found = list(dict.fromkeys(names))
    ids = {name: _known_id(name) for name in found}
    if all(ids.values()):
        return BUNDLED, np.array([ids[name] for name in names], np.int64)
    called = [name or NO_CLASS for name in found]
    table = ClassTable.of(*dict.fromkeys(_unlike_background(name) for name in called))
    own = {name: table.index(_unlike_background(name or NO_CLASS)) for name in found}
    return table, np.array([own[name] for name in names], np.int64)


def _known_id(name: str) -> int:
    """The bundled model's id of a class name or of an id in digits; 0 for anything else."""
    if name in BUNDLED.names[1:]:
        return BUNDLED.index(name)
    try:
        number = float(name)
    except ValueError:
        return 0
    return int(number) if number.is_integer() and 1 <= number < len(BUNDLED) else 0


def _unlike_background(name: str) -> str:
    return f"{name} (nuclei)" if name == BACKGROUND else name
