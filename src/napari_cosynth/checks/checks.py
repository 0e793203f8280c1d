"""Checks of data sets for damaged samples, copies, and slides that two splits share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from napari_cosynth.checks.copies import Copies
from napari_cosynth.io.stack_format import LAYOUTS, points_of
from napari_cosynth.records.base import NamedRecords, Parts

KEEP_IDS = ("conic", "consep", "folder", "hovernet", "omezarr", "stack")
"""Formats of our exports that keep instance ids, so that these can be compared with the layout."""


@dataclass(frozen=True)
class Finding:
    """One fault that was found."""

    kind: str
    """``unreadable``, ``disagreement``, ``two classes``, ``class``, ``layout``, ``empty``, ``no µm/px``,
    ``copy``, ``leaked copy`` or ``shared slide``."""
    split: str
    name: str
    """The record; empty if the fault concerns the whole split."""
    detail: str


@dataclass
class Checked:
    """The result of a check."""

    records: dict[str, int] = field(default_factory=dict)
    """Split -> number of records."""
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """One-line notes on what could not be checked, and on nuclei that reading changes."""


def check(
    splits: Sequence[tuple[str, NamedRecords]], progress: Callable[[], object] = lambda: None
) -> Checked:
    """Checks every record of every split, one at a time; ``splits``: (name of the split, records).

    ``progress`` is called once a record.
    """
    result = Checked()
    copies = Copies()
    for split, dataset in splits:
        result.records[split] = len(dataset)
        if not dataset.mpp_stated:
            result.findings.append(
                Finding("no µm/px", split, "", "the files do not state it; --source-mpp does")
            )
        points = _point_counts(dataset)
        for name in dataset.names:
            progress()
            try:
                parts = dataset.parts(name)
            except ValueError as error:
                result.findings.append(Finding("unreadable", split, name, str(error)))
                continue
            result.findings += _of_record(split, name, parts, dataset, points.get(name))
            try:
                dataset.made(name, parts)
            except ValueError as error:
                result.findings.append(Finding("unreadable", split, name, str(error)))
            for other, twin in copies.add((split, name), parts.image):
                kind = "copy" if other == split else "leaked copy"
                result.findings.append(
                    Finding(kind, split, name, f"shows what {other}: {twin} shows")
                )
        result.notes += [f"{split}: {note}" for note in dataset.notes]
    _shared_slides(splits, result)
    return result


def _of_record(
    split: str, name: str, parts: Parts, dataset: NamedRecords, points: int | None
) -> list[Finding]:
    found: list[tuple[str, str]] = []
    ids, labels = parts.instances, parts.labels
    if ids.shape != labels.shape or parts.image.shape[:2] != labels.shape:
        shapes = f"image {parts.image.shape}, instances {ids.shape}, labels {labels.shape}"
        return [Finding("disagreement", split, name, f"shapes differ: {shapes}")]
    if (
        largest := int(labels.max(initial=0))
        if labels.max(initial=0) >= len(dataset.classes)
        else 0
    ):
        found.append(("class", f"{largest}, known are 1..{len(dataset.classes) - 1}"))
    differ = int(np.count_nonzero((labels > 0) != (ids > 0)))
    if differ:
        found.append(("disagreement", f"labels and instances disagree in {differ} pixels"))
    inside = (ids > 0) & (labels > 0)
    pairs = np.unique(np.stack([ids[inside].astype(np.int64), labels[inside]]), axis=1)
    nuclei, classes = np.unique(pairs[0], return_counts=True)
    if len(mixed := nuclei[classes > 1]):
        found.append(("two classes", f"{len(mixed)} instances, the first {mixed[0]}"))
    present = np.unique(ids[ids > 0])
    if points is not None:
        sample = dataset.own.samples[dataset.own.index[name]] if dataset.own else {}
        allowed = sample.get("report", {}).get("spurious", ())
        beyond = np.setdiff1d(present[present > points], allowed)
        if len(beyond) and not sample.get("edited"):
            found.append(("layout", f"instance {beyond[0]} is beyond its {points} points"))
    if not len(present) and points != 0:
        found.append(("empty", "no nuclei"))
    return [Finding(kind, split, name, detail) for kind, detail in found]


def _point_counts(dataset: NamedRecords) -> dict[str, int]:
    """Record name -> number of its points, for our own exports whose instance ids follow the points."""
    own = dataset.own
    if own is None or own.exporter not in KEEP_IDS:
        return {}
    counts = dict.fromkeys(own.names, 0)
    for sample, _ in points_of(own.folder / LAYOUTS, len(own.samples), own.classes.names):
        counts[own.names[sample]] += 1
    return counts


def _shared_slides(splits: Sequence[tuple[str, NamedRecords]], result: Checked) -> None:
    if len(splits) < 2:
        return
    seen: dict[str, str] = {}
    for split, dataset in splits:
        slides = {name: dataset.slide_of(name) for name in dataset.names}
        if None in slides.values():
            result.notes.append(f"{split}: nothing says which slides its records are from")
        first: dict[str, str] = {}
        for name, slide in slides.items():
            if slide is not None:
                first.setdefault(slide, name)
        for slide, name in first.items():
            if slide in seen:
                detail = f"{slide} is in {seen[slide]} too"
                result.findings.append(Finding("shared slide", split, name, detail))
            else:
                seen[slide] = split
