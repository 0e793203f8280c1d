"""A set of records with what is measured on them once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_cosynth.evaluation.metrics.shapes import Nuclei, measure_nuclei
from napari_cosynth.types import Record

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

HULLED = 250
"""At most so many records have the solidity of their nuclei measured, evenly spread."""


@dataclass
class Samples:
    """Records of one set with what is measured on them once."""

    records: Sequence[Record]
    groups: Sequence[str]
    """The tile or the layout of each: what a bootstrap draws."""
    nuclei: list[Nuclei] = field(default_factory=list)
    features: list[Floats] = field(default_factory=list)
    """Per network (N, F)."""
    imagenet: Floats | None = None
    """ImageNet features (N, 1280)."""
    inception: tuple[Floats, Floats] | None = None
    """Features (N, 2048) and logits (N, C)."""

    def __post_init__(self) -> None:
        if not self.nuclei:
            hulled = set(spread(len(self.records), HULLED).tolist())
            self.nuclei = [measure_nuclei(r, i in hulled) for i, r in enumerate(self.records)]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def images(self) -> npt.NDArray[np.uint8]:
        """uint8 (N, H, W, 3)."""
        return np.stack([r.image for r in self.records])

    def take(self, rows: Rows) -> Samples:
        """Some of the samples."""
        return Samples(
            [self.records[i] for i in rows],
            [self.groups[i] for i in rows],
            [self.nuclei[i] for i in rows],
            [f[rows] for f in self.features],
            None if self.imagenet is None else self.imagenet[rows],
            None if self.inception is None else tuple(v[rows] for v in self.inception),  # type: ignore[arg-type]
        )


def spread(count: int, wanted: int) -> Rows:
    """``wanted`` of ``count`` rows, evenly spread; all where there are no more."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(np.int64))


def layout_key(record: Record) -> str:
    """Equal for samples of one layout."""
    layout = record.layout
    content = layout.centroids.tobytes() + layout.class_ids.tobytes()
    return hashlib.sha256(content).hexdigest()[:16]
