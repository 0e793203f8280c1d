"""Recall and precision of the built-in detector on real tiles, matched within 3 µm, and its time.

python benchmarks/detector.py --data DATA [--radius 3] [--validation] [--out docs/results/detector.md]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import cKDTree

from napari_cosynth.data.consep import ConsepDataset
from napari_cosynth.data.folder import FolderDataset
from napari_cosynth.layouts.detect import detect_nuclei
from napari_cosynth.types import Record

VALIDATION = {
    "CoNSeP": ("train_6", "train_12", "train_18", "train_24"),
    "MoNuSeg": (
        "TCGA-AR-A1AS-01Z-00-DX1",
        "TCGA-B0-5711-01Z-00-DX1",
        "TCGA-RD-A8N9-01A-01-TS1",
    ),
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("COSYNTH_DATA"), required=False)
    parser.add_argument("--radius", type=float, default=3.0, help="µm")
    options = parser.parse_args()
    rows: dict[str, list[tuple[int, int, int, float]]] = {}
    for name, tile, record in tiles(options.data):
        start = time.perf_counter()
        found = detect_nuclei(record.image, record.mpp)
        seconds = time.perf_counter() - start
        real = record.layout.centroids
        hits = matched(found, real, options.radius / record.mpp)
        rows.setdefault(name, []).append((hits, len(found), len(real), seconds))
        if tile in VALIDATION.get(name, ()):
            rows.setdefault(f"{name}, validation tiles", []).append(rows[name][-1])
    print("| tiles | nuclei | found | recall | precision | F1 | median s a tile |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, values in rows.items():
        hits, found_count, real_count, _ = np.sum(values, axis=0)
        recall, precision = hits / real_count, hits / found_count
        f1 = 2 * hits / (found_count + real_count)
        median = np.median([seconds for *_, seconds in values])
        print(
            f"| {name}, {len(values)} | {real_count:,.0f} | {found_count:,.0f} | {recall:.3f} "
            f"| {precision:.3f} | {f1:.3f} | {median:.2f} |"
        )


if __name__ == "__main__":
    main()
