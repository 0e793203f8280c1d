"""What ImageNet features see, and how biased few images are: by depth, of whole patches and of quarters.

    python benchmarks/imagenet_depth.py --data DATA [--draws 30]

DATA is the folder of the data sets (default: COSYNTH_DATA). Patches of CoNSeP's training tiles. The first
table says how far a damage moves a distance between four tiles and four others, in deviations of that
over draws of the tiles; the second what distance two sets of the same tiles have, by their number.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

import encoder
from napari_cosynth.datasets.published.consep import ConsepDataset
from napari_cosynth.evaluation.metrics.distances import frechet_distance, kernel_distance
from napari_cosynth.model.efficientnet import pretrained
from napari_cosynth.records.resample import resample

Floats = npt.NDArray[np.float64]
SIDE = 250
TILES = 4
"""Of each set of the first table."""
DEPTHS = ("head", "block 14")
DISTANCES = {"Fréchet": frechet_distance, "kernel": kernel_distance}


@torch.no_grad()
def features(images: encoder.Images) -> dict[str, Floats]:
    """Pooled features (N, F) of images by depth."""
    network = pretrained()
    found: dict[str, list[Floats]] = {depth: [] for depth in DEPTHS}
    for first in range(0, len(images), 8):
        x = encoder.as_tensor(np.ascontiguousarray(images[first : first + 8]))
        middle, last = network.after(x, [14, 15])
        head = F.relu6(network.bn1(network.conv_head(last)))
        for depth, maps in zip(DEPTHS, (head, middle), strict=True):
            found[depth].append(maps.mean((2, 3)).double().numpy())
    return {depth: np.concatenate(rows) for depth, rows in found.items()}


def quarters(images: encoder.Images) -> encoder.Images:
    """The four quarters of each image: all first ones, all second ones, ..."""
    half = images.shape[1] // 2
    return np.concatenate(
        [images[:, y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("COSYNTH_DATA"))
    parser.add_argument("--draws", type=int, default=30)
    options = parser.parse_args()
    encoder.SIDE = SIDE
    tiles = [resample(r, 0.5) for r in ConsepDataset(Path(options.data) / "consep/train")]
    patches = [encoder.cut([tile]) for tile in tiles]
    owners = np.repeat(np.arange(len(tiles)), [len(p) for p in patches])
    joint = [p for some in patches for p in some]
    sets = {"": np.stack([p.image for p in joint]), **encoder.damages(joint)}
    whole = {name: features(images) for name, images in sets.items()}
    parts = {name: features(quarters(images)) for name, images in sets.items()}
    rng = np.random.default_rng(0)
    draws = [rng.permutation(len(tiles))[: 2 * TILES] for _ in range(options.draws)]
    columns: dict[str, dict[str, float]] = {}
    for size, found, of in (("", whole, owners), (" of quarters", parts, np.tile(owners, 4))):
        for depth in DEPTHS:
            for kind, distance in DISTANCES.items():

                def between(name: str) -> Floats:
                    """Four tiles damaged from four others as they are, by draw."""
                    rows = [[np.isin(of, s[:TILES]), np.isin(of, s[TILES:])] for s in draws]  # noqa: B023
                    return np.array(
                        [distance(found[name][depth][a], found[""][depth][b]) for a, b in rows]  # noqa: B023
                    )

                usual = between("")
                columns[f"{depth}{size}, {kind}"] = {
                    name: float((between(name) - usual).mean() / usual.std())
                    for name in sets
                    if name
                }
    print("| | " + " | ".join(columns) + " |\n" + "| --- " * (len(columns) + 1) + "|")
    for name in sets:
        if name:
            print(f"| {name} | " + " | ".join(f"{c[name]:.1f}" for c in columns.values()) + " |")
    names = [f"{d}{s}, {k}" for s in ("", " of quarters") for d in DEPTHS for k in DISTANCES]
    print("\n| images | " + " | ".join(names) + " |\n" + "| --- " * (len(names) + 1) + "|")
    for count in (8, 16, 32, 54):
        cells = []
        for found in (whole, parts):
            for depth in DEPTHS:
                rows = found[""][depth]
                orders = [rng.permutation(len(rows)) for _ in range(10)]
                for distance in DISTANCES.values():
                    values = [distance(rows[o[:count]], rows[o[count : 2 * count]]) for o in orders]
                    cells.append(f"{np.mean(values):.3g}")
        print(f"| {count} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
