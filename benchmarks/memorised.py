"""Whether the bundled weights give training patches back: nearest training patches, made and unseen.

    python benchmarks/memorised.py --data DATA [--samples 48] [--size 128]

Samples are made where copying would be easiest: the layout of a training patch, with its tissue and its
own look. Others are made of layouts of held-out tiles. Of each, and of the held-out patches themselves,
the distance to the nearest of all training patches is taken, on ImageNet features (EfficientNet-Lite0)
and between pixels of images halved twice, as they are and turned and mirrored. What
``evaluation.metrics.memorisation`` makes of these is printed: 0.5 of pairs and a ratio of 1 where
samples are as far from training patches as real ones that were never seen, 1 and 0 for copies.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cosynth.evaluation.encoders.imagenet import imagenet_features
from napari_cosynth.evaluation.metrics.memorisation import closeness, nearest_distances
from napari_cosynth.evaluation.reports.samples import spread
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.model.checkpoint import load
from napari_cosynth.model.efficientnet import pretrained
from napari_cosynth.model.looks import look_of
from napari_cosynth.records.base import crop
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.training.config import load_recipe
from napari_cosynth.training.data import CosynthData
from napari_cosynth.types import Record, Request, Synthesis

Images = npt.NDArray[np.uint8]


def patches(tiles: list[Record], size: int, stride: int) -> list[Record]:
    """Every patch of ``size`` pixels a side whose corner lies on a grid, of all tiles."""
    found = []
    for tile in tiles:
        height, width = tile.labels.shape
        for y in range(0, height - size + 1, stride):
            found += [crop(tile, y, x, size, size) for x in range(0, width - size + 1, stride)]
    return found


def sampled(patch: Record, looks: int, seed: int) -> Record:
    """A sample of a patch's own layout, in its own look."""
    request = Request(
        patch.layout,
        prompt_for(patch.layout, patch.tissue),
        tissue=patch.tissue,
        look=look_of(patch.image)[:looks] if looks else "none",
        seeds=(seed,),
    )
    (sample,) = (e for e in synthesize(request) if isinstance(e, Synthesis))
    return sample.record


def small(images: Images) -> npt.NDArray[np.float64]:
    """Images (N, H, W, 3) averaged over 4 x 4 pixels, as rows (N, H W 3 / 16)."""
    n, height, width, _ = images.shape
    means = images.reshape(n, height // 4, 4, width // 4, 4, 3).mean((2, 4))
    return means.reshape(n, -1)


def turned(images: Images) -> list[Images]:
    """The eight ways in which a patch may lie."""
    turns = [np.rot90(images, k, (1, 2)) for k in range(4)]
    return [np.ascontiguousarray(each) for t in turns for each in (t, t[:, :, ::-1])]


def nearest_pixels(images: Images, training: Images) -> npt.NDArray[np.float64]:
    """Root mean square grey levels to the nearest training patch in any of its eight ways."""
    rows = small(training)
    squares = (rows**2).sum(1)
    best = np.full(len(images), np.inf)
    for way in turned(images):
        own = small(way)
        away = (own**2).sum(1)[:, None] + squares - 2 * own @ rows.T
        best = np.minimum(best, away.min(1))
    return np.sqrt(np.maximum(best, 0) / rows.shape[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("COSYNTH_DATA"))
    parser.add_argument("--samples", type=int, default=48, help="of each kind")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--stride", type=int, default=62, help="between training patches")
    options = parser.parse_args()
    begun = time.perf_counter()
    checkpoint = load("default")
    looks = len(checkpoint.config.look.mean) if checkpoint.config.look else 0
    data = CosynthData(load_recipe("few"), options.data)
    seen, held = ([r for records in s for r in records] for s in (data.training, data.validation))
    training = patches(seen, options.size, options.stride)
    unseen = patches(held, options.size, options.size)
    print(f"{len(training)} training patches, {len(unseen)} unseen, of {options.size} pixels")
    print(f"weights {checkpoint.sha256[:12]}, {options.samples} samples of each kind\n", flush=True)

    # Copies, to see that the measure tells them: training patches in place of samples, most of them
    # half a stride from the grid, as training may have seen them.
    half = [p for tile in seen for p in patches([tile], options.size, options.stride * 3 // 2)]
    own = [p for p in training if len(p.layout)]
    kinds = {
        "layouts and looks of training patches": [
            sampled(own[i], looks, n) for n, i in enumerate(spread(len(own), options.samples))
        ],
        "layouts and looks of held-out patches": [
            sampled(unseen[i], looks, n) for n, i in enumerate(spread(len(unseen), options.samples))
        ],
        "copies: real training patches": [half[i] for i in spread(len(half), options.samples)],
    }
    network = pretrained()
    images = {name: np.stack([r.image for r in kind]) for name, kind in kinds.items()}
    known, never = (np.stack([r.image for r in kind]) for kind in (training, unseen))
    features = imagenet_features(network, known)
    print(
        "| samples of | distance | median ratio | closer than the closest 5 % | nearer in pairs |"
    )
    print("| --- | --- | --- | --- | --- |")
    theirs = (
        nearest_distances(imagenet_features(network, never), features),
        nearest_pixels(never, known),
    )
    for name, made in images.items():
        ours = (
            nearest_distances(imagenet_features(network, made), features),
            nearest_pixels(made, known),
        )
        for what, a, b in zip(("ImageNet features", "pixels"), ours, theirs, strict=True):
            ratio, closer, nearer = closeness(a, b).values()
            print(f"| {name} | {what} | {ratio:.2f} | {closer:.2f} | {nearer:.2f} |", flush=True)
    print(f"\n{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
