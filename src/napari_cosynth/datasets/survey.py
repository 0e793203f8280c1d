"""What a data set holds: its records counted, and some of them as pictures."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.segmentation import find_boundaries

from napari_cosynth.datasets.formats import open_records
from napari_cosynth.io.paths import named
from napari_cosynth.io.stack_format import DESCRIPTION
from napari_cosynth.records.base import NamedRecords
from napari_cosynth.types import Record

WIDEST = 512
"""Pixels of a record in a picture, at most."""


@dataclass
class Survey:
    """A data set in figures."""

    path: Path
    kind: str
    """The format's name in the registry."""
    classes: tuple[str, ...]
    """The class names, the background left out."""
    slides: dict[str, str]
    """The slide or patient of every record, by the record's name."""
    mpp_stated: bool
    """Whether the files tell their µm/px; else it is assumed or was put in."""
    takes_tissue: bool = False
    """Whether its reader can be told the tissue of all tiles."""
    synthetic: int = 0
    """Records of an export of ours that were sampled."""
    ours: bool = False
    """Whether it is an export of ours."""
    read: int = 0
    """Records that the following figures are of."""
    nuclei: Counter[str] = field(default_factory=Counter)
    shapes: Counter[tuple[int, int]] = field(default_factory=Counter)
    sizes: Counter[float] = field(default_factory=Counter)
    """µm/px."""
    tissues: Counter[str] = field(default_factory=Counter)
    """Empty where a record's is not known."""
    stains: Counter[str] = field(default_factory=Counter)
    least_side: float = np.inf
    """The shortest side of a record, in µm."""
    area: float = 0.0
    """Of all records, in µm²."""
    notes: tuple[str, ...] = ()
    """What the reader did that is worth knowing, a line each."""
    pictures: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    """uint8 (H, W, 3): the image of a record above the same with its nuclei outlined."""

    @property
    def records(self) -> int:
        return len(self.slides)

    def count(self, record: Record) -> None:
        """Adds a record."""
        (height, width), mpp = record.labels.shape, record.mpp
        names = record.layout.classes.names
        ids = np.bincount(record.layout.class_ids, minlength=len(names))
        self.nuclei.update({name: int(n) for name, n in zip(names, ids, strict=True) if n})
        self.read += 1
        self.shapes[height, width] += 1
        self.sizes[round(mpp, 6)] += 1
        self.tissues[record.tissue] += 1
        self.stains[record.stain] += 1
        self.least_side = min(self.least_side, min(height, width) * mpp)
        self.area += height * width * mpp**2


def open_survey(path: Path, kind: str | None = None, **options: Any) -> tuple[Survey, NamedRecords]:
    """A data set of any format, and its survey before a record is read.

    ``options`` are the reader's; those that are None are left out. Raises ValueError in one line
    where no format or several fit.
    """
    path = named(path)
    found, dataset = open_records(path, kind, **options)
    path = path.parent if path.name == DESCRIPTION else path
    slides = {name: dataset.slide_of(name) or name for name in dataset.names}
    survey = Survey(path, found, dataset.classes.names[1:], slides, dataset.mpp_stated)
    survey.takes_tissue = "tissue" in inspect.signature(type(dataset)).parameters
    if dataset.own is not None:
        survey.ours = True
        survey.synthetic = sum(bool(s.get("synthetic")) for s in dataset.own.samples)
    return survey, dataset


def survey(
    path: Path,
    kind: str | None = None,
    most: int | None = None,
    pictures: int = 0,
    watched: Callable[[Iterable[int]], Iterable[int]] = iter,
    **options: Any,
) -> Survey:
    """Reads a data set's records, at most ``most`` of them, spread evenly, and draws ``pictures``.

    The area is that of all records where not all were read. ``watched`` may show how far it is.
    Raises ValueError as :func:`open_survey` does, and naming the file of a damaged record.
    """
    found, dataset = open_survey(path, kind, **options)
    total = len(dataset)
    count = total if most is None else min(most, total)
    apart = max(1, count // pictures) if pictures else 0
    for number in watched(range(count)):
        record = dataset[number * total // count]
        found.count(record)
        if apart and number % apart == 0 and len(found.pictures) < pictures:
            found.pictures.append(_picture(record))
    if count:
        found.area *= total / count
    found.notes = tuple(dataset.notes)
    return found


def outlined(record: Record) -> npt.NDArray[np.uint8]:
    """The image with each instance's rim in its class' colour, uint8 (H, W, 3)."""
    picture = record.image.copy()
    rim = find_boundaries(record.instances, mode="inner")
    picture[rim] = record.classes.colors[record.labels[rim]]
    return picture


def _picture(record: Record) -> npt.NDArray[np.uint8]:
    """Image above its outlined nuclei, cut to a size that is quick to look at."""
    cut = np.s_[:WIDEST, :WIDEST]
    return np.concatenate([record.image[cut], outlined(record)[cut]], 0)
