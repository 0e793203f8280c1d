"""``cosynth separation``: quality of instance separation on real data sets (paper, Table 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from skimage.segmentation import find_boundaries

import napari_cosynth
from napari_cosynth import registry
from napari_cosynth.cli.datasets.named import named_dataset
from napari_cosynth.evaluation.metrics.bootstrap import bootstrap_weights, weighted_mean
from napari_cosynth.evaluation.metrics.separation import (
    METHODS,
    dice_per_nucleus,
    separated,
    touching,
)
from napari_cosynth.evaluation.reports.checks import check_sample
from napari_cosynth.evaluation.reports.figure import ALL, Figure
from napari_cosynth.evaluation.reports.report import Picture, Report, number, to_html, to_json
from napari_cosynth.geometry.instances import Method
from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.io.paths import named, report_files
from napari_cosynth.known import no_dataset
from napari_cosynth.records.base import Dataset
from napari_cosynth.records.resample import resample
from napari_cosynth.types import Record

Floats = npt.NDArray[np.float64]

NAMES: dict[Method, str] = {
    "points": "points (ours)",
    "distance maxima": "distance maxima",
    "connected components": "connected components",
}
TOUCHING = "touching"
WORST = 6
"""Number of nuclei pictured of each data set, at most one a tile."""
_REACH, _ENLARGED = 24, 5
"""Pixels around a pictured nucleus, and the factor by which the picture is enlarged."""


@dataclass
class Measured:
    """Measurements of one data set's nuclei, tile by tile."""

    name: str
    mpp: float
    tiles: list[str] = field(default_factory=list)
    dice: dict[Method, list[Floats]] = field(default_factory=lambda: {m: [] for m in METHODS})
    groups: list[list[str]] = field(default_factory=list)
    """Class name of each nucleus, by tile."""
    touching: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    worst: list[tuple[float, Picture]] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(len(t) for t in self.touching)


def measure(name: str, dataset: Dataset, mpp: float) -> Measured:
    """Measurements of every method on every tile's own labels and distances, resampled to ``mpp``."""
    measured = Measured(name, mpp)
    for tile in dataset:
        record = resample(tile, mpp)
        check_sample(record)
        found = separated(record)
        dice = {m: dice_per_nucleus(record.instances, found[m]) for m in METHODS}
        present = ~np.isnan(dice["points"])
        names = np.array(record.classes.names, object)
        ids = np.zeros(len(present), np.int64)
        inside = record.instances > 0
        ids[record.instances[inside] - 1] = record.labels[inside]
        measured.tiles.append(Path(record.source).name)
        measured.groups.append([str(n) for n in names[ids[present]]])
        measured.touching.append(touching(record.instances)[present])
        for method in METHODS:
            measured.dice[method].append(dice[method][present])
        if present.any():
            worst = int(np.nanargmin(dice["points"]))
            scores = {m: float(dice[m][worst]) for m in METHODS}
            measured.worst.append((scores["points"], _picture(record, found, worst + 1, scores)))
    measured.worst = sorted(measured.worst, key=lambda pair: pair[0])[:WORST]
    return measured


def figures_of(measured: Measured) -> list[Figure]:
    """mDice of all nuclei, of touching nuclei, and of each class, with intervals over tiles.

    Raises ValueError where there are no nuclei.
    """
    owners = [t for t, n in zip(measured.tiles, measured.touching, strict=True) for _ in n]
    if not owners:
        raise ValueError(f"{measured.name}: no nuclei in it")
    weights = bootstrap_weights(owners)
    touch = np.concatenate(measured.touching)
    classes = np.array([c for names in measured.groups for c in names])
    parts = {ALL: np.ones(len(touch), bool), TOUCHING: touch}
    present = sorted(set(classes.tolist()))
    if len(present) > 1:
        parts |= {name: classes == name for name in present}
    return [
        Figure(
            measured.name,
            NAMES[method],
            of,
            weighted_mean(np.concatenate(measured.dice[method])[rows], weights[:, rows]),
            better="higher",
        )
        for method in METHODS
        for of, rows in parts.items()
    ]


def run(specs: Sequence[str], out: Path, mpp: float = 0.5) -> list[str]:
    """Writes ``out``.html and ``out``.json; returns a Markdown table of mDice as lines."""
    page, content = report_files(out)
    datasets = [(_short(spec), _open(spec)) for spec in specs]
    names = [name for name, _ in datasets]
    if len(set(names)) < len(names):
        names = list(specs)
    sets = [measure(n, d, mpp) for n, (_, d) in zip(names, datasets, strict=True)]
    figures = [figure for measured in sets for figure in figures_of(measured)]
    report = Report(
        {
            "data sets": names,
            "tiles": [len(m.tiles) for m in sets],
            "nuclei": [m.count for m in sets],
            "mpp": mpp,
            "version": napari_cosynth.__version__,
        },
        [
            "Every method gets the data set's own labels and distance maps: what is measured is the "
            "separation alone. The Dice coefficient of a nucleus is that with the instance that shares "
            "most pixels with it; the figure is their mean (mDice).",
            "Intervals hold the middle 95 % of what other tiles would have given (bootstrap over tiles).",
            f"'{TOUCHING}': nuclei with a pixel next to another nucleus'.",
            "A stack that cosynth made has instances that were separated by points: its figures say "
            "how repeatable that is, not how right.",
        ],
        figures,
        pictures=[picture for measured in sets for _, picture in measured.worst],
    )
    with replaced_file(content) as fresh:
        fresh.write_text(to_json(report), encoding="utf-8")
    with replaced_file(page) as fresh:
        fresh.write_text(to_html(report, "Instance separation"), encoding="utf-8")
    return _table(sets, figures)


def _open(spec: str) -> Dataset:
    dataset = named_dataset(spec)
    if dataset is None:
        raise ValueError(no_dataset(spec, registry.names("dataset")))
    return dataset


def _short(spec: str) -> str:
    """Short name of a data set: ``monuseg`` for ``folder:data/monuseg/train``."""
    path = named(spec.partition(":")[2] or spec)
    return named(path.parent).name if path.name in ("train", "test") else path.name


def _table(sets: Sequence[Measured], figures: Sequence[Figure]) -> list[str]:
    """A Markdown table with a row per data set and kind of nuclei, and a column per method."""
    methods = [NAMES[m] for m in reversed(METHODS)]
    lines = [
        f"| data set | nuclei | {' | '.join(methods)} |",
        f"| --- | --- |{' --- |' * len(methods)}",
    ]
    for measured in sets:
        counts = {ALL: measured.count, TOUCHING: sum(int(t.sum()) for t in measured.touching)}
        for of, count in counts.items():
            cells = []
            for method in methods:
                (estimate,) = (
                    f.estimate
                    for f in figures
                    if (f.section, f.name, f.of) == (measured.name, method, of)
                )
                low, high = estimate.interval
                cells.append(f"{number(estimate.value)} ({number(low)} to {number(high)})")
            tiles = f", {len(measured.tiles)} tiles" if of == ALL else f", {TOUCHING}"
            lines.append(f"| {measured.name}{tiles} | {count:,} | {' | '.join(cells)} |")
    return lines


def _picture(
    record: Record,
    found: dict[Method, npt.NDArray[np.int32]],
    nucleus: int,
    scores: dict[Method, float],
) -> Picture:
    """A picture of a nucleus' surroundings, with the real outlines and those of each method."""
    y, x = (int(v) for v in np.argwhere(record.instances == nucleus).mean(0))
    height, width = record.labels.shape
    y, x = (
        int(np.clip(v - _REACH, 0, max(0, n - 2 * _REACH))) for v, n in ((y, height), (x, width))
    )
    window = np.s_[y : y + 2 * _REACH, x : x + 2 * _REACH]
    panels = []
    for instances in (record.instances, *(found[m] for m in reversed(METHODS))):
        panels.append(
            _drawn(record.image[window], instances[window], record.instances[window] == nucleus)
        )
    gap = np.full((panels[0].shape[0], 8, 3), 255, np.uint8)
    told = ", ".join(f"{NAMES[m]} {number(scores[m])}" for m in reversed(METHODS))
    return Picture(
        f"{Path(record.source).name}, nucleus {nucleus} (white): real outlines, then {told}",
        np.concatenate([part for panel in panels for part in (panel, gap)][:-1], 1),
    )


def _drawn(
    image: npt.NDArray[np.uint8],
    instances: npt.NDArray[np.int32],
    nucleus: npt.NDArray[np.bool_],
) -> npt.NDArray[np.uint8]:
    """An enlarged window with the instances' rims in green and the real nucleus' in white."""

    def enlarged(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return array.repeat(_ENLARGED, 0).repeat(_ENLARGED, 1)

    picture = np.array(enlarged(image), np.uint8)
    outline = find_boundaries(enlarged(nucleus.astype(np.int32)), mode="outer")
    picture[outline] = 255
    picture[find_boundaries(enlarged(instances), mode="inner")] = (0, 255, 90)
    return picture
