"""Recall and precision of the built-in detector on real tiles, matched within 3 µm, and its time.

    python benchmarks/detector.py --data DATA [--choose] [--radius 3]

Its settings are chosen on some tiles and reported on others of other patients: held out are the
validation tiles of CoNSeP and MoNuSeg and the patients 09 to 11 of TNBC; chosen is on every fifth of the
other tiles (TNBC: sixth). ``--choose`` searches one setting after the other from the present ones, by the
mean F1 of the three data sets.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import cKDTree

from napari_cosynth.datasets.folder import FolderDataset
from napari_cosynth.datasets.published.consep import ConsepDataset
from napari_cosynth.layouts.sources import detect
from napari_cosynth.layouts.sources.detect import Detector, detect_nuclei
from napari_cosynth.types import Record

HELD_OUT = {
    "CoNSeP": ("train_6", "train_12", "train_18", "train_24"),
    "MoNuSeg": (
        "TCGA-AR-A1AS-01Z-00-DX1",
        "TCGA-B0-5711-01Z-00-DX1",
        "TCGA-RD-A8N9-01A-01-TS1",
    ),
    "TNBC": ("09_", "10_", "11_"),
}
"""Starts of tiles' names."""
EVERY = {"CoNSeP": 5, "MoNuSeg": 5, "TNBC": 6}
"""Of the other tiles, those that settings are chosen on."""
GRID: dict[str, tuple[object, ...]] = {
    "radii": ((2.5, 3.2), (2.0, 3.2), (2.0, 2.5, 3.2), (2.5, 3.2, 4.0)),
    "apart": (1.5, 2.0, 2.5, 3.0),
    "threshold": (0.15, 0.2, 0.25, 0.3),
    "blur": (1.0, 1.5, 2.0),
    "ink": (1.25, 1.5, 100.0),
}


def matched(found: npt.NDArray[np.floating], real: npt.NDArray[np.floating], radius: float) -> int:
    """The most pairs, each point in one at most, that lie within ``radius`` pixels."""
    if not len(found) or not len(real):
        return 0
    pairs = cKDTree(found).query_ball_point(real, radius)
    rows = np.repeat(np.arange(len(real)), [len(p) for p in pairs])
    columns = np.concatenate([np.asarray(p, np.int64) for p in pairs]) if len(rows) else rows
    graph = coo_array((np.ones(len(rows)), (rows, columns)), (len(real), len(found))).tocsr()
    return int((maximum_bipartite_matching(graph, perm_type="column") >= 0).sum())


def tiles(data: Path) -> Iterator[tuple[str, str, Record]]:
    sets = {
        "CoNSeP": ConsepDataset(data / "consep/train"),
        "MoNuSeg": FolderDataset(data / "monuseg/train"),
        "TNBC": FolderDataset(data / "tnbc"),
    }
    for name, dataset in sets.items():
        for tile, record in zip(dataset.names, dataset, strict=True):
            yield name, tile, record


Counts = tuple[int, int, int, float]
"""Matched, found, annotated, seconds of the process."""


def counted(record: Record, radius: float, settings: dict[str, object]) -> Counts:
    """The detector's counts on one tile."""
    ink, own = settings.get("ink", detect._INK), {k: v for k, v in settings.items() if k != "ink"}
    usual, detect._INK = detect._INK, float(str(ink))
    start = time.process_time()
    try:
        found = detect_nuclei(
            record.image,
            record.mpp,
            dataclasses.replace(Detector(), **own),  # type: ignore[arg-type]
        )
    finally:
        detect._INK = usual
    seconds = time.process_time() - start
    real = record.layout.centroids
    return matched(found, real, radius / record.mpp), len(found), len(real), seconds


def f1(rows: list[Counts]) -> float:
    hits, found, real, _ = np.sum(rows, axis=0)
    return float(2 * hits / (found + real))


def choose(sets: dict[str, list[Record]], radius: float) -> None:
    """Prints the mean F1 of each setting tried, and the best of all."""

    def mean(settings: dict[str, object]) -> float:
        return float(
            np.mean([f1([counted(r, radius, settings) for r in v]) for v in sets.values()])
        )

    best: dict[str, object] = {}
    reached = mean(best)
    print(f"as it is: {reached:.4f}", flush=True)
    for name, values in GRID.items():
        for value in values:
            tried = {**best, name: value}
            now = mean(tried)
            print(f"{name} {value}: {now:.4f}", flush=True)
            if now > reached + 5e-4:  # what is no better is no reason to change
                best, reached = tried, now
    print(f"best: {best or 'as it is'}, {reached:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("COSYNTH_DATA"), required=False)
    parser.add_argument("--radius", type=float, default=3.0, help="µm")
    parser.add_argument("--choose", action="store_true")
    options = parser.parse_args()
    held: dict[str, list[Record]] = {}
    chosen: dict[str, list[Record]] = {}
    left: dict[str, list[Record]] = {}
    seen = dict.fromkeys(EVERY, 0)
    for name, tile, record in tiles(Path(options.data)):
        if tile.startswith(HELD_OUT[name]) and (name != "CoNSeP" or tile in HELD_OUT[name]):
            held.setdefault(name, []).append(record)
            continue
        (left if seen[name] % EVERY[name] else chosen).setdefault(name, []).append(record)
        seen[name] += 1
    if options.choose:
        choose(chosen, options.radius)
        return
    print("| tiles | nuclei | found | recall | precision | F1 | median s of the processor a tile |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for title, sets in (
        ("held out", held),
        ("chosen on", chosen),
        ("neither", left),
    ):
        for name, records in sets.items():
            rows = [counted(record, options.radius, {}) for record in records]
            hits, found, real, _ = np.sum(rows, axis=0)
            median = np.median([seconds for *_, seconds in rows])
            print(
                f"| {title}: {name}, {len(rows)} | {real:,.0f} | {found:,.0f} | {hits / real:.3f} "
                f"| {hits / found:.3f} | {f1(rows):.3f} | {median:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
