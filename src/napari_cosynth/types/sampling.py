"""A synthesis: how far it is, what of it is shown meanwhile, what came of it."""

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
    """What instance separation found; rows and instance ids are ``row of the layout + 1``."""

    missed: tuple[int, ...] = ()
    """Ids of points with no foreground under them."""
    spurious: tuple[int, ...] = ()
    """Ids (above N) of foreground components that no point reaches."""
    merged: tuple[int, ...] = ()
    """Ids of instances with more than one peak in the distance map."""
    flagged: tuple[int, ...] = ()
    """Ids of instances whose majority class is not their point's."""
    pale: tuple[int, ...] = ()
    """Ids of instances in which the image shows no more haematoxylin than around them."""
    small: tuple[int, ...] = ()
    """Ids of instances of less than half the usual area of their class."""

    def to_json(self) -> dict[str, list[int]]:
        """Field -> ids, JSON-ready."""
        return {f.name: list(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_json(cls, value: dict[str, list[int]]) -> Report:
        """What :meth:`to_json` made; a field that is missing is empty."""
        return cls(**{f.name: tuple(value.get(f.name, ())) for f in dataclasses.fields(cls)})


@dataclass(frozen=True)
class Previews:
    """Which states of a running synthesis are shown; no pixel of the sample depends on it."""

    every: int = 0
    """Show the clean estimate every so many steps; 0 never."""
    after: float = 0.0
    """Seconds without a picture after which what there is of the estimate is shown, on a large canvas
    also within a step; 0 never."""

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
    """Which of the request's seeds, from 0."""
    count: int
    step: int
    """Steps of this sample done so far, 1..steps; 0 while the first is under way."""
    steps: int
    image: npt.NDArray[np.uint8] | None = None
    """Preview of the clean image, uint8 (H, W, 3), on preview steps."""
    labels: npt.NDArray[np.uint8] | None = None
    """Preview of the semantic labels, uint8 (H, W), on preview steps."""
    part: float = 0.0
    """The share of the next step that is done, 0..1, where a large canvas takes long for one."""


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
    """Of a region of a real image: what takes its place there, uint8 (h, w, 3) on that image's own grid;
    ``record`` is the region on the checkpoint's."""

    @property
    def nbytes(self) -> int:
        """Of its arrays."""
        patch = 0 if self.patch is None else self.patch.nbytes
        return self.record.nbytes + self.raw_labels.nbytes + patch

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """What reproduces this sample, JSON-ready; the layout is stored beside it."""
        return {
            "synthetic": True,
            **self.request.stored(self.seed),
            **self.provenance,
            "report": self.report.to_json(),
        }
