"""The data set protocol, and the basic operations on records: make, remap, crop."""

from __future__ import annotations

import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_cosynth.geometry.measure import (
    SMALLEST_FRAGMENT,
    layout_of,
    majority_classes,
    parted,
    relabel,
)
from napari_cosynth.geometry.raster import distance_map
from napari_cosynth.records.nucleus_notes import PARTED, UNCLASSIFIED, NucleusNotes
from napari_cosynth.records.sidecar import Sidecar
from napari_cosynth.types import H_AND_E, ClassTable, Record


class Records(Protocol):
    """Records by index: a list, or a data set that reads a record on access."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Record: ...

    def __iter__(self) -> Iterator[Record]: ...


class Dataset(Records, Protocol):
    """Annotated tiles or patches, read one at a time; records are not cached."""

    classes: ClassTable
    names: tuple[str, ...]
    """One name per record: the tile it comes from. Splits are made by name."""

    @property
    def tissues(self) -> tuple[str, ...]:
        """The tissues that occur, sorted, as far as they are known without reading the records."""
        ...


@dataclass(frozen=True)
class Parts:
    """The arrays of one record as its files hold them, before they are made to agree."""

    image: npt.NDArray[np.uint8]
    """uint8 (H, W, 3)."""
    instances: npt.NDArray[np.integer]
    """Instance ids, integer (H, W), 0 background."""
    labels: npt.NDArray[np.uint8]
    """Class per pixel, uint8 (H, W), 0 background."""
    mpp: float
    """Micrometres per pixel."""
    tissue: str = ""
    source: str = ""
    stain: str = H_AND_E
    labelled: str = ""
    """The file of instances and classes, for error messages; empty if it is ``source``."""


class NamedRecords(NucleusNotes, ABC):
    """Base of data sets that read a record by its name."""

    classes: ClassTable
    names: tuple[str, ...]
    own: Sidecar | None = None
    """``cosynth.json`` beside the data, if one of our own exports wrote it."""
    mpp_stated: bool = True
    """Whether µm/px is known from the files, the format's definition or the caller, not assumed."""

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether a file or folder looks like this format, judged by names and headers only."""
        return False

    @abstractmethod
    def tissue_of(self, name: str) -> str:
        """The tissue of a record, known without reading it."""

    @abstractmethod
    def parts(self, name: str) -> Parts:
        """The arrays of a record. Raises ValueError naming the damaged file."""

    def read(self, name: str) -> Record:
        """The record of a name. Raises ValueError naming the damaged file."""
        return self.made(name, self.parts(name))

    def made(self, name: str, parts: Parts) -> Record:
        """The record made from arrays that were read.

        Nuclei in several parts become one nucleus a part. Nuclei without a class are treated as
        ``unclassified`` says. Raises ValueError naming file and nucleus.
        """
        _check_shapes(parts.image, parts.instances, parts.labels, parts.source)
        numbered = relabel(parts.instances, 1)
        self.note(name, PARTED, parted(parts.instances, numbered))
        class_ids = majority_classes(numbered, parts.labels, len(self.classes))
        bare = np.flatnonzero(class_ids == 0)
        if bare.size and self.unclassified is None:
            first = parts.instances.flat[np.flatnonzero(numbered == bare[0] + 1)[0]]
            raise ValueError(
                f"{parts.labelled or parts.source}: instance {first} has no class (--unclassified "
                "drops such nuclei, or gives them a class)"
            )
        if bare.size:
            becomes = self.classes.names[self.unclassified] if self.unclassified else "left out"
            self.note(name, f"{UNCLASSIFIED}: {becomes}", len(bare))
            class_ids[bare] = self.unclassified or 0
            kept = class_ids > 0
            table = np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)]).astype(np.int32)
            numbered, class_ids = table[numbered], class_ids[kept]
        return _record(
            parts.image,
            numbered,
            class_ids,
            self.classes,
            parts.mpp,
            parts.tissue,
            parts.source,
            parts.stain,
        )

    def own_of(self, name: str) -> tuple[Sidecar, int] | None:
        """The sidecar of our own export and the record's number in it; None if it has none."""
        if self.own is None or name not in self.own.index:
            return None
        return self.own, self.own.index[name]

    def own_text(self, name: str, field: str, otherwise: str = "") -> str:
        """A text field of the sample's description in our own export, such as ``tissue``."""
        found = self.own_of(name)
        return found[0].text(found[1], field, otherwise) if found else otherwise

    def slide_of(self, name: str) -> str | None:
        """The slide or patient of a record, by which splits are made; None if unknown.

        If no file states it, the name counts as the slide, and a TCGA barcode as its patient.
        """
        found = self.own_of(name)
        slide = found[0].slide(found[1]) if found else None
        return patient_of(slide or name)

    @property
    def tissues(self) -> tuple[str, ...]:
        """The tissues that occur, sorted."""
        return tuple(sorted({self.tissue_of(name) for name in self.names}))

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Record]:
        return (self.read(name) for name in self.names)

    def __getitem__(self, index: int) -> Record:
        return self.read(self.names[index])


def patient_of(name: str) -> str:
    """The patient in a TCGA barcode, ``TCGA-AR-A1AS`` in ``TCGA-AR-A1AS-01Z-00-DX1``, else the name."""
    found = re.match(r"TCGA-\w{2}-\w{4}(?=\W|_|$)", name)
    return found[0] if found else name


def make_record(
    image: npt.NDArray[np.uint8],
    instances: npt.NDArray[np.integer],
    labels: npt.NDArray[np.uint8],
    classes: ClassTable,
    mpp: float,
    tissue: str = "",
    source: str = "",
    stain: str = H_AND_E,
    smallest: int = 1,
) -> Record:
    """A record whose parts agree, from an image, instance ids and per-pixel classes.

    ``image`` uint8 (H, W, 3), ``instances`` integer (H, W), ``labels`` uint8 (H, W), ``mpp`` in µm/px.
    Instances are split into connected parts and numbered 1..N; parts under ``smallest`` pixels become
    background. Each takes its majority class. Labels, distance and layout are recomputed from the
    result. Raises ValueError naming ``source`` if an instance has no class or shapes disagree.
    """
    _check_shapes(image, instances, labels, source)
    parts = relabel(instances, smallest)
    class_ids = majority_classes(parts, labels, len(classes))
    unlabelled = np.flatnonzero(class_ids == 0)
    if unlabelled.size:
        raise ValueError(f"{source}: instance {unlabelled[0] + 1} has no class")
    return _record(image, parts, class_ids, classes, mpp, tissue, source, stain)


def _check_shapes(
    image: npt.NDArray[Any], instances: npt.NDArray[Any], labels: npt.NDArray[Any], source: str
) -> None:
    if instances.shape != image.shape[:2] or labels.shape != image.shape[:2]:
        raise ValueError(
            f"{source}: image {image.shape[:2]}, instances {instances.shape} and labels "
            f"{labels.shape} differ in shape"
        )
    if 0 in labels.shape:
        raise ValueError(f"{source}: expected an image, got {labels.shape[0]} x {labels.shape[1]}")


def _record(
    image: npt.NDArray[np.uint8],
    parts: npt.NDArray[np.int32],
    class_ids: npt.NDArray[np.uint8],
    classes: ClassTable,
    mpp: float,
    tissue: str,
    source: str,
    stain: str,
) -> Record:
    """A record from connected instances 1..N, int32 (H, W), and their classes, uint8 (N,)."""
    table = np.concatenate([np.zeros(1, np.uint8), class_ids])
    return Record(
        image=np.ascontiguousarray(image),
        instances=parts,
        labels=table[parts],
        distance=distance_map(parts),
        layout=layout_of(parts, class_ids, mpp, classes),
        mpp=mpp,
        tissue=tissue,
        source=source,
        stain=stain,
    )


def remade(
    record: Record,
    image: npt.NDArray[np.uint8],
    instances: npt.NDArray[np.integer],
    labels: npt.NDArray[np.uint8],
    mpp: float | None = None,
    source: str | None = None,
    smallest: int = SMALLEST_FRAGMENT,
) -> Record:
    """A record with other arrays, made to agree as by :func:`make_record`; the rest is ``record``'s."""
    return make_record(
        image,
        instances,
        labels,
        record.classes,
        record.mpp if mpp is None else mpp,
        record.tissue,
        record.source if source is None else source,
        record.stain,
        smallest,
    )


def crop(record: Record, y: int, x: int, height: int, width: int) -> Record:
    """The ``height`` x ``width`` pixels of a record from (y, x) on.

    Each visible part of a cut nucleus becomes a nucleus: its centroid, point and distance are recomputed.
    Fragments under :data:`SMALLEST_FRAGMENT` pixels become background (method, section 1).
    """
    window = np.s_[y : y + height, x : x + width]
    return remade(record, record.image[window], record.instances[window], record.labels[window])


def remap(record: Record, classes: ClassTable, mapping: Mapping[str, str]) -> Record:
    """A record in another class table; ``mapping`` is from its class names to the new table's.

    A class that ``mapping`` does not name keeps its name. Raises ValueError if the record contains a
    class whose new name is not in the new table.
    """
    old = record.classes.names
    table = np.zeros(len(old), np.uint8)
    # A synthetic nucleus can have a class that no point has.
    present = {*np.unique(record.layout.class_ids).tolist(), *np.unique(record.labels).tolist()}
    for index, name in enumerate(old[1:], start=1):
        new = mapping.get(name, name)
        if new in classes.names:
            table[index] = classes.index(new)
        elif index in present:
            raise ValueError(f"{record.source}: class {name!r} is mapped to unknown {new!r}")
    return dataclasses.replace(
        record,
        labels=table[record.labels],
        layout=dataclasses.replace(
            record.layout, class_ids=table[record.layout.class_ids], classes=classes
        ),
    )
