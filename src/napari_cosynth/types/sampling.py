"""Syntheses: progress and previews of a running one, sample and report of a finished one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.types.annotation import Record
from napari_cosynth.types.classes import require
from napari_cosynth.types.recipe import Request


@dataclass(frozen=True)
class Report:
    """Findings of instance separation. The instance of point ``i`` of the layout has the id ``i + 1``."""

    missed: tuple[int, ...] = ()
    """Ids of points without foreground under them."""
    spurious: tuple[int, ...] = ()
    """Ids (above N) of foreground components that no point reaches."""
    merged: tuple[int, ...] = ()
    """Ids of instances with more than one peak in the distance map."""
    flagged: tuple[int, ...] = ()
    """Ids of instances whose majority class is not their point's."""
    pale: tuple[int, ...] = ()
    """Ids of instances that show no more haematoxylin than their surroundings."""
    small: tuple[int, ...] = ()
    """Ids of instances of less than half the usual area of their class."""

    def to_json(self) -> dict[str, list[int]]:
        """Ids by field name, JSON-ready."""
        return {f.name: list(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_json(cls, value: dict[str, list[int]]) -> Report:
        """The report that :meth:`to_json` wrote; a missing field is empty."""
        return cls(**{f.name: tuple(value.get(f.name, ())) for f in dataclasses.fields(cls)})


@dataclass(frozen=True)
class Previews:
    """When to show the clean estimate of a running synthesis; no pixel of the sample depends on it."""

    every: int = 0
    """Steps from one preview to the next; 0: no preview by steps."""
    after: float = 0.0
    """Seconds without a preview after which the estimate is shown as far as it is made, on a large
    canvas also in the middle of a step; 0: no preview by time."""

    def __post_init__(self) -> None:
        require(self.every >= 0, f"every: expected 0 or more, got {self.every}")
        require(
            bool(np.isfinite(self.after)) and self.after >= 0,
            f"after: expected 0 s or more, got {self.after}",
        )


NO_PREVIEWS = Previews()


@dataclass(frozen=True)
class Progress:
    """One state of a running synthesis."""

    seed: int
    index: int
    """Position of the seed among the request's, from 0."""
    count: int
    """Number of the request's seeds."""
    step: int
    """Finished steps of this sample, 1..steps; 0 during the first."""
    steps: int
    image: npt.NDArray[np.uint8] | None = None
    """Preview of the clean image, uint8 (H, W, 3), on preview steps."""
    labels: npt.NDArray[np.uint8] | None = None
    """Preview of the semantic labels, uint8 (H, W), on preview steps."""
    part: float = 0.0
    """Finished share of the next step, 0..1; above 0 only on large canvases, whose steps take long."""


@dataclass(frozen=True)
class Synthesis:
    """One finished sample."""

    record: Record
    request: Request
    seed: int
    report: Report
    raw_labels: npt.NDArray[np.uint8]
    """Semantic labels as sampled, uint8 (H, W); ``record.labels`` has one class per instance."""
    seconds: float = 0.0
    """Wall time of this sample."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Checkpoint name and sha256, device, precision, package versions."""
    patch: npt.NDArray[np.uint8] | None = None
    """For a region of a real image: the new pixels on that image's own grid, uint8 (h, w, 3). ``record``
    holds the region on the checkpoint's grid."""

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        patch = 0 if self.patch is None else self.patch.nbytes
        return self.record.nbytes + self.raw_labels.nbytes + patch

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """Everything that reproduces this sample, JSON-ready; the layout is stored beside it."""
        return {
            "synthetic": True,
            **self.request.stored(self.seed),
            **self.provenance,
            "report": self.report.to_json(),
        }
