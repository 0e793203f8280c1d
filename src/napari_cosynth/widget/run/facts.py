"""A checkpoint's facts for a form, read from its ``config.json`` alone.

The dock shows classes, tissues and stains as soon as it opens; :mod:`napari_cosynth.model` would
import torch for that. Only these facts are read here. Whether the checkpoint can be used is decided
later, when :mod:`napari_cosynth.model` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_cosynth.foreign.files import read_json
from napari_cosynth.known import BUNDLED, CONFIG, available
from napari_cosynth.types import H_AND_E, ClassTable


@dataclass(frozen=True)
class CheckpointFacts:
    """The part of a checkpoint's configuration that a form needs."""

    name: str
    """A bundled checkpoint's name, or the path of a folder, as for ``Request.checkpoint``."""
    classes: ClassTable
    mpp: float
    """Micrometres per pixel of the grid that the model samples on."""
    tissues: tuple[str, ...]
    stains: tuple[str, ...]
    areas: dict[str, float] = field(default_factory=dict)
    """Class name -> usual area of its nuclei in µm²; empty if the checkpoint does not state it."""
    nodes: int = 0
    """Number of passes of the sampler ``few`` that it was trained for; 0: not trained for it."""
    follows_looks: bool = False
    """Whether it can follow the look of a reference."""


def read_facts(name: str) -> CheckpointFacts:
    """The facts of a bundled checkpoint or a folder. Raises ValueError naming file and field."""
    folder = BUNDLED / name if name in available() else Path(name).expanduser()
    file = folder / CONFIG
    if not file.is_file():
        raise ValueError(f"{folder}: not a checkpoint folder (it has no {CONFIG})")
    table = read_json(file)
    try:
        colors = np.array(table["class_colors"], np.uint8)
        classes = ClassTable(tuple(str(n) for n in table["class_names"]), colors)
        mpp = float(table["mpp"])
        tissues = tuple(str(n) for n in table.get("tissues", ()))
        stains = tuple(str(n) for n in table.get("stains", (H_AND_E,)))
        areas = {str(n): float(a) for n, a in table.get("areas", {}).items() if float(a) > 0}
        nodes = len(table.get("nodes") or ())
        follows_looks = table.get("look") is not None
    except KeyError as error:
        raise ValueError(f"{file}: {error.args[0]}: missing") from None
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{file}: cannot be read ({error})") from None
    return CheckpointFacts(name, classes, mpp, tissues, stains, areas, nodes, follows_looks)
