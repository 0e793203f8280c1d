"""A set of records with the measurements that several figures share."""

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
"""Most records whose nuclei have their solidity measured; they are evenly spread."""


@dataclass
class Samples:
    """The records of one set, and their measurements, which are taken once."""

    records: Sequence[Record]
    groups: Sequence[str]
    """The tile or layout of each record, by which a bootstrap draws."""
    nuclei: list[Nuclei] = field(default_factory=list)
    """The nuclei of each record; measured here if empty."""
    features: list[Floats] = field(default_factory=list)
    """The tile encoder's features of each network, (N, F) each."""
    imagenet: Floats | None = None
    """ImageNet features (N, 1280)."""
    inception: tuple[Floats, Floats] | None = None
    """Inception's features (N, 2048) and logits (N, C)."""

    def __post_init__(self) -> None:
        if not self.nuclei:
            hulled = set(spread(len(self.records), HULLED).tolist())
            self.nuclei = [measure_nuclei(r, i in hulled) for i, r in enumerate(self.records)]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def images(self) -> npt.NDArray[np.uint8]:
        """The images of the records, uint8 (N, H, W, 3)."""
        return np.stack([r.image for r in self.records])

    def take(self, rows: Rows) -> Samples:
        """The samples in some rows."""
        return Samples(
            [self.records[i] for i in rows],
            [self.groups[i] for i in rows],
            [self.nuclei[i] for i in rows],
            [f[rows] for f in self.features],
            None if self.imagenet is None else self.imagenet[rows],
            None if self.inception is None else tuple(v[rows] for v in self.inception),  # type: ignore[arg-type]
        )


def spread(count: int, wanted: int) -> Rows:
    """At most ``wanted`` of ``count`` rows, evenly spread, int64."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(np.int64))


def layout_key(record: Record) -> str:
    """A digest of the layout's points, equal for samples of one layout."""
    layout = record.layout
    content = layout.centroids.tobytes() + layout.class_ids.tobytes()
    return hashlib.sha256(content).hexdigest()[:16]
