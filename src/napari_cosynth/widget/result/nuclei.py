"""Table of a result's nuclei, without Qt: id, class, area, position and flags of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cosynth.evaluation.metrics.shapes import measure_nuclei
from napari_cosynth.geometry.instances import report_on
from napari_cosynth.types import ClassTable, Record

FLAGS = ("flagged", "missed", "spurious", "merged")


@dataclass(frozen=True)
class NucleusTable:
    """One row per instance and per missed point, by id."""

    classes: ClassTable
    ids: npt.NDArray[np.int64]
    """(M,): the instance's id; for a missed point its row in the layout + 1."""
    class_ids: npt.NDArray[np.int64]
    """(M,), 0..K-1: the majority of the labels, or the missed point's class; 0 without a label."""
    area: npt.NDArray[np.float64]
    """(M,), µm²; NaN for a missed point."""
    centroids: npt.NDArray[np.float64]
    """(M, 2), (y, x) in pixels."""
    extent: npt.NDArray[np.float64]
    """(M,), pixels: about the diameter; NaN for a missed point."""
    flags: npt.NDArray[np.bool_]
    """(M, 4), by ``FLAGS``."""

    def __len__(self) -> int:
        return len(self.ids)

    def same_as(self, other: NucleusTable) -> bool:
        """Whether both tables look the same in a view."""
        return self.classes == other.classes and all(
            np.array_equal(getattr(self, name), getattr(other, name), equal_nan=name == "area")
            for name in ("ids", "class_ids", "area", "centroids", "flags")
        )

    def row_of(self, id_: int) -> int | None:
        """The row of an id; None if the table has no such id."""
        row = int(np.searchsorted(self.ids, id_))
        return row if row < len(self) and self.ids[row] == id_ else None

    def summary(self) -> str:
        """The numbers of nuclei and flags, in one line."""
        nuclei = len(self) - int(self.flags[:, FLAGS.index("missed")].sum())
        counts = [
            f"{count:,} {name}"
            for name, count in zip(FLAGS, self.flags.sum(0).tolist(), strict=True)
            if count
        ]
        return ", ".join([f"{nuclei:,} nuclei", *counts])


def nucleus_table(record: Record) -> NucleusTable:
    """The table of a record; instance ids are its layout's rows + 1.

    The flags are those of :func:`report_on`, so for a fresh sample those of its report. Raises ValueError
    if a label has no class.
    """
    if record.labels.max(initial=0) >= len(record.classes):
        raise ValueError(
            f"{record.source}: labels reach {record.labels.max()}, known are "
            f"1..{len(record.classes) - 1}"
        )
    report = report_on(record.instances, record.labels, record.distance, record.layout)
    nuclei = measure_nuclei(record, hulls=False)
    missed = np.array(report.missed, np.int64)
    ids = np.concatenate([nuclei.ids, missed])
    asked = record.layout.class_ids[missed - 1].astype(np.int64)
    points = record.layout.centroids[missed - 1].astype(np.float64)
    unknown = np.full(len(missed), np.nan)
    order = np.argsort(ids)
    return NucleusTable(
        classes=record.classes,
        ids=ids[order],
        class_ids=np.concatenate([nuclei.class_ids, asked])[order],
        area=np.concatenate([nuclei.area, unknown])[order],
        centroids=np.concatenate([nuclei.centroids, points])[order],
        extent=np.sqrt(np.concatenate([nuclei.area, unknown]))[order] / record.mpp,
        flags=np.stack([np.isin(ids[order], getattr(report, name)) for name in FLAGS], 1),
    )
