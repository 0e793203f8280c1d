"""``cosynth.json`` of our own exports, read beside an export of any format."""

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
"""End of a layout's name that tells where in a tile the layout was cut."""


@dataclass(frozen=True)
class Sidecar:
    """Description of an export and its samples, beyond what its format holds."""

    folder: Path
    exporter: str
    classes: ClassTable
    mpp: float
    names: tuple[str, ...]
    """Names of the records in the reader."""
    titles: tuple[str, ...]
    """Names of the samples when they were written; numbers for samples without a name."""
    samples: tuple[dict[str, Any], ...]
    """Descriptions of the samples, in the order of ``names``."""

    @cached_property
    def index(self) -> dict[str, int]:
        """Name -> number of the sample."""
        return {name: i for i, name in enumerate(self.names)}

    def text(self, index: int, field: str, otherwise: str = "") -> str:
        """A field of a sample's description, such as ``tissue`` or ``stain``."""
        return str(self.samples[index].get(field, otherwise))

    def slide(self, index: int) -> str | None:
        """The group of a sample for splits: its slide, or a synthetic sample's source; None if unknown.

        A sample made from a real tile's layout has that tile's slide, and one made in a real image has
        that image. Other synthetic samples of one layout share a group.
        """
        sample = self.samples[index]
        if slide := sample.get("slide"):
            return str(slide)
        if sample.get("synthetic"):
            inpainted = sample.get("inpainted")
            if isinstance(inpainted, dict) and inpainted.get("image"):
                return Path(str(inpainted["image"])).stem
            # The layout's name in the recipe, not its points: turned copies have other points. Crops of
            # one tile show one tissue, so their place is cut off the name.
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
    """The sidecar of an export by ``exporter``; None if there is none or another exporter wrote it.

    Raises ValueError naming file and field.
    """
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
