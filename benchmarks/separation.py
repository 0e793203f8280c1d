"""Instance separation: mDice per nucleus from real labels and distances, and time at scale.

python benchmarks/separation.py --data DATA [--nuclei 40000 --size 4096]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cosynth.datasets.published.consep import ConsepDataset
from napari_cosynth.evaluation.metrics.separation import separations
from napari_cosynth.geometry.instances import separate
from napari_cosynth.geometry.raster import distance_map
from napari_cosynth.records.resample import resample
from napari_cosynth.types import ClassTable, Layout


def grid_of_nuclei(count: int, size: int) -> tuple[npt.NDArray[np.int32], Layout]:
    """``count`` ellipses that touch, on a canvas of ``size`` pixels."""
    side = int(np.ceil(np.sqrt(count)))
    step = size / side
    rng = np.random.default_rng(0)
    centres = (np.stack(np.mgrid[:side, :side], -1).reshape(-1, 2)[:count] + 0.5) * step
    centres += rng.uniform(-step / 6, step / 6, centres.shape)
    instances = np.zeros((size, size), np.int32)
    reach = int(step * 0.75)
    for i, (y, x) in enumerate(centres, start=1):
        a, b, turn = step * rng.uniform(0.35, 0.6), step * rng.uniform(0.35, 0.6), rng.uniform(0, 3)
        y0, x0 = max(0, int(y) - reach), max(0, int(x) - reach)
        window = instances[y0 : int(y) + reach, x0 : int(x) + reach]
        dy, dx = np.ogrid[y0 : y0 + window.shape[0], x0 : x0 + window.shape[1]]
        u = (dy - y) * np.cos(turn) + (dx - x) * np.sin(turn)
        v = (dx - x) * np.cos(turn) - (dy - y) * np.sin(turn)
        window[((u / a) ** 2 + (v / b) ** 2 <= 1) & (window == 0)] = i
    table = ClassTable.of("nucleus")
    layout = Layout(centres.astype(np.float32), np.ones(count), (size, size), 0.5, table)
    return instances, layout


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("COSYNTH_DATA"))
    parser.add_argument("--mpp", type=float, default=0.5)
    parser.add_argument("--nuclei", type=int, default=40_000)
    parser.add_argument("--size", type=int, default=4096)
    options = parser.parse_args()
    dice: dict[str, list[npt.NDArray[np.float64]]] = {}
    if options.data:
        for tile in ConsepDataset(options.data / "consep/train"):
            for name, values in separations(resample(tile, options.mpp)).items():
                dice.setdefault("points (ours)" if name == "points" else name, []).append(values)
    instances, layout = grid_of_nuclei(options.nuclei, options.size)
    labels, distance = (instances > 0).astype(np.uint8), distance_map(instances)
    begun = time.perf_counter()
    separate(labels, distance, layout)
    seconds = time.perf_counter() - begun
    print(
        json.dumps(
            {
                "mDice on CoNSeP": {
                    k: round(float(np.concatenate(v).mean()), 3) for k, v in dice.items()
                },
                "nuclei": int(sum(len(v) for v in next(iter(dice.values()), []))),
                f"seconds for {options.nuclei} nuclei on {options.size}^2": round(seconds, 1),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
