"""``cosynth.json`` of our own exports, read by the reader of whichever format they are in."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from napari_cosynth.io.errors import one_line
from napari_cosynth.io.listing import composed
from napari_cosynth.io.stack_format import DESCRIPTION, LAYOUTS, points_of, read_description
from napari_cosynth.types import ClassTable

_CROP = re.compile(r" at \(\d+, \d+\)$")
"""Where in a tile a generated sample's layout was cut."""


@dataclass(frozen=True)
class Sidecar:
    """What an export says of its samples beside what its format holds."""

    folder: Path
    exporter: str
    classes: ClassTable
    mpp: float
    names: tuple[str, ...]
    """As the reader calls its records."""
    titles: tuple[str, ...]
    """As the samples were called when they were written; numbers where they had no name."""
    samples: tuple[dict[str, Any], ...]
    """In the order of ``names``."""

    @cached_property
    def index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def text(self, index: int, field: str, otherwise: str = "") -> str:
        """A field of a sample's description, such as ``tissue`` or ``stain``."""
        return str(self.samples[index].get(field, otherwise))

    def slide(self, index: int) -> str | None:
        """The slide of a real sample and of one made from a real tile's layout or in a real image;
        for another synthetic one, what samples of one layout share."""
        sample = self.samples[index]
        if slide := sample.get("slide"):
            return str(slide)
        if sample.get("synthetic"):
            inpainted = sample.get("inpainted")
            if isinstance(inpainted, dict) and inpainted.get("image"):
                return Path(str(inpainted["image"])).stem
            # A generated set's recipes name their layout: copies of it are turned, and have other points;
            # crops of one tile show one tissue, also in sets whose recipes do not name its slide.
            layout = _CROP.sub("", str(sample.get("layout") or self._layouts[index]))
            return f"layout {layout}"
        return None

    @cached_property
    def _layouts(self) -> list[str]:
        digests = [hashlib.sha256() for _ in self.samples]
        for sample, point in points_of(self.folder / LAYOUTS, len(digests), self.classes.names):
            digests[sample].update(repr(point).encode())
        return [digest.hexdigest()[:12] for digest in digests]


def read_sidecar(root: Path, exporter: str) -> Sidecar | None:
    """The sidecar of an export in a format, None where there is none. Raises ValueError if damaged."""
    path = root / DESCRIPTION
    if not path.is_file():
        return None
    content = read_description(path)
    if content.get("exporter", "stack") != exporter:
        return None
    where = f"{path}: samples"
    for sample in content["samples"]:
        if not isinstance(sample, dict):
            raise ValueError(f"{where}: expected objects, got {str(sample)[:60]!r}")
    named = content.get("names") or map(str, range(len(content["samples"])))
    names = tuple(composed(str(name)) for name in named)
    try:
        classes = ClassTable(tuple(content["classes"]), np.array(content["colors"], np.uint8))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path}: classes: {one_line(error)}") from None
    return Sidecar(
        root,
        exporter,
        classes,
        float(content["mpp"]),
        names,
        names,
        tuple(content["samples"]),
    )
