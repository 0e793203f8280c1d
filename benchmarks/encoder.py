"""What the tile encoder sees: distances of held-out real patches from others and from damaged ones.

    python benchmarks/encoder.py --data DATA [--stack STACK] [--networks 3] [--steps 500]

DATA is the folder of the data sets (default: COSYNTH_DATA). The networks learn from 15 tiles of CoNSeP;
patches of the four held-out tiles are compared with themselves damaged, with those of two other sets of
four tiles, and with quarters of the samples of STACK, if one is named. Prints Fréchet and kernel
distances, and each as a multiple of that from the other tiles.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage as ndi

from napari_cosynth.datasets.published.consep import ConsepDataset
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.evaluation.encoders.damages import scrambled, warped
from napari_cosynth.evaluation.encoders.encoder import encoder_features, train_encoder
from napari_cosynth.evaluation.metrics.distances import frechet_distance, kernel_distance
from napari_cosynth.records.base import crop
from napari_cosynth.records.resample import resample
from napari_cosynth.types import Record

HELD_OUT = ("train_6", "train_12", "train_18", "train_24")
OTHERS = (
    ("train_3", "train_9", "train_15", "train_21"),
    ("train_2", "train_8", "train_14", "train_27"),
)
SIDE = 128
Images = npt.NDArray[np.uint8]


def cut(records: list[Record]) -> list[Record]:
    """Patches that do not overlap."""
    return [
        crop(r, y, x, SIDE, SIDE)
        for r in records
        for y in range(0, r.labels.shape[0] - SIDE + 1, SIDE)
        for x in range(0, r.labels.shape[1] - SIDE + 1, SIDE)
    ]


def shuffled(record: Record, rng: np.random.Generator) -> Images:
    """The patch with its nuclei taken out and put down elsewhere."""
    inside = record.instances > 0
    if not inside.any():
        return record.image
    wide = ndi.binary_dilation(inside, iterations=2)
    nearest = ndi.distance_transform_edt(wide, return_distances=False, return_indices=True)
    image = record.image[tuple(nearest)].copy()
    for window, nucleus in zip(
        ndi.find_objects(record.instances), range(1, record.instances.max() + 1), strict=True
    ):
        mask = record.instances[window] == nucleus
        y, x = (int(rng.integers(SIDE - n + 1)) for n in mask.shape)
        image[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = record.image[window][mask]
    return image


def as_tensor(images: Images) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def as_images(x: torch.Tensor) -> Images:
    return ((x.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def damages(patches: list[Record]) -> dict[str, Images]:
    """Name -> the patches' images, damaged."""
    images = np.stack([p.image for p in patches])
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    x = as_tensor(images)
    noise = rng.normal(size=images.shape)
    return {
        "blurred, sigma 0.7": ndi.gaussian_filter(images, (0, 0.7, 0.7, 0)),
        "blurred, sigma 1.5": ndi.gaussian_filter(images, (0, 1.5, 1.5, 0)),
        "noise of 10 grey levels": (images + 10 * noise).clip(0, 255).astype(np.uint8),
        "noise of 30 grey levels": (images + 30 * noise).clip(0, 255).astype(np.uint8),
        "red less by a tenth": (images * [0.9, 1, 1]).astype(np.uint8),
        "red less by a third": (images * [0.67, 1, 1]).astype(np.uint8),
        "nuclei shuffled": np.stack([shuffled(p, rng) for p in patches]),
        "outlines waver by 2 px": as_images(
            warped(x, torch.full((len(x), 1, 1, 1), 2.0), generator)
        ),
        "half random phases": as_images(0.5 * x + 0.5 * scrambled(x, generator)),
        "random phases": as_images(scrambled(x, generator)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("COSYNTH_DATA"))
    parser.add_argument("--stack", type=Path, default=None)
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--steps", type=int, nargs="*", default=None)
    options = parser.parse_args()
    dataset = ConsepDataset(Path(options.data) / "consep/train")
    tiles = {Path(r.source).stem: resample(r, 0.5) for r in dataset}
    apart = [*HELD_OUT, *(name for names in OTHERS for name in names)]
    training = [r for name, r in tiles.items() if name not in apart]
    patches = cut([tiles[n] for n in HELD_OUT])
    sets = {
        f"other tiles, {i}": np.stack([p.image for p in cut([tiles[n] for n in names])])
        for i, names in enumerate(OTHERS, start=1)
    }
    sets |= damages(patches)
    if options.stack is not None:
        stack = StackDataset(options.stack)
        sets["samples of the stack"] = np.stack([p.image for p in cut(list(stack))])
    real = np.stack([p.image for p in patches])
    for steps in options.steps or [None]:
        begun = time.process_time()
        extra = {} if steps is None else {"steps": steps}
        models = [train_encoder(training, seed, **extra) for seed in range(options.networks)]
        seconds = time.process_time() - begun
        reference = encoder_features(models, real)
        rows = {}
        for name, images in sets.items():
            found = encoder_features(models, images)
            rows[name] = [
                float(np.mean([d(a, b) for a, b in zip(reference, found, strict=True)]))
                for d in (frechet_distance, kernel_distance)
            ]
        usual = np.mean([rows[n] for n in rows if n.startswith("other")], 0)
        print(
            f"{len(training)} tiles, {steps or 'default'} steps, {seconds:.0f} s of a core to train\n"
        )
        print("| | Fréchet | over other tiles | kernel | over other tiles |")
        print("| --- | --- | --- | --- | --- |")
        for name, (frechet, kernel) in rows.items():
            print(
                f"| {name} | {frechet:.3g} | {frechet / usual[0]:.2f} | {kernel:.3g} "
                f"| {kernel / usual[1]:.2f} |"
            )
        print(flush=True)


if __name__ == "__main__":
    main()
