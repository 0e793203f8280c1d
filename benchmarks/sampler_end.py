"""Where `fast` should take its last clean estimate: earlier is smoother, later keeps the model's errors.

    python benchmarks/sampler_end.py --data DATA [--checkpoint default] [--last 0.1 0.2 0.28]

Samples layouts of training tiles, at every time of --last, and prints as Markdown how their texture
stands beside those tiles'. Training tiles, so that no held-out tile has a say in the choice.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from napari_cosynth.diffusion.sampler import SdeDpmSolver
from napari_cosynth.evaluation.metrics.texture import band_ratios, spectral_distance, texture
from napari_cosynth.records.augment import random_crop
from napari_cosynth.records.spectrum import BANDS, band_name, radial_power
from napari_cosynth.training.config import load_recipe
from napari_cosynth.training.data import CosynthData
from napari_cosynth.types import Record
from realism import samples_of


def patches(recipe: str, data: Path, number: int, count: int, size: int) -> list[Record]:
    """Patches of the training tiles of one of the recipe's data sets, one a tile, then again."""
    tiles = CosynthData(load_recipe(recipe), data).training[number]
    rng = np.random.default_rng(2)
    order = rng.permutation(len(tiles))
    return [random_crop(tiles[int(order[i % len(tiles)])], size, rng) for i in range(count)]


def row(records: list[Record], real: list[Record]) -> str:
    images, labels = (np.stack([getattr(r, f) for r in records]) for f in ("image", "labels"))
    found = texture(images, labels)
    made, wanted = (np.mean([radial_power(r.image) for r in rs], 0) for rs in (records, real))
    bands = band_ratios(made, wanted, min(images.shape[1:3]))
    cells = (
        f"{found.laplacian:.1f}",
        " ".join(f"{c:.3f}" for c in found.correlation),
        f"{found.auc:.3f}",
        " ".join(f"{c:.0f}" for c in found.colour),
        *(f"{b:.2f}" for b in bands),
        f"{spectral_distance(made, wanted):.2f}",
    )
    return " | ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("COSYNTH_DATA"))
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--set", type=int, default=0, help="which of the recipe's data sets")
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--last", type=float, nargs="+", default=[0.1, 0.15, 0.2, 0.24, 0.28])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--patches", type=int, default=12)
    parser.add_argument("--size", type=int, default=256)
    options = parser.parse_args()
    real = patches(options.recipe, options.data, options.set, options.patches, options.size)
    names = ["Laplacian", "autocorrelation", "AUC", "colour", *(band_name(*b) for b in BANDS)]
    print("| last estimate at t | " + " | ".join([*names, "spectrum, dB off"]) + " |")
    print("| --- " * (len(names) + 2) + "|")
    print(f"| real | {row(real, real)} |", flush=True)
    for last in options.last:
        SdeDpmSolver.last = last
        made = [s.record for s in samples_of(real, options.checkpoint, options.steps)]
        print(f"| {last:g} | {row(made, real)} |", flush=True)


if __name__ == "__main__":
    main()
