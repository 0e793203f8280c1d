"""Nuclei added to real tiles: their size and haematoxylin against those of the nuclei around them.

    python benchmarks/added_nuclei.py [--data DATA] [--side 96] [--tiles NAME ...] [--whole]
                                      [--unseen] [--picture OUT.png]

Held-out MoNuSeg tiles by default, at the checkpoint's µm/px. In a region of each, up to four points go
where no annotated nucleus is near; the annotated ones stay. Without ``--whole`` the layout before the
change is told, so that only what is around the new points is painted. ``--unseen`` leaves nuclei around
the region unknown. Figures, a line a tile:

area      median area of the added nuclei over that of the annotated ones in and near the region
contrast  haematoxylin inside less around, of the added nuclei over the annotated ones (medians)
kept      share of the region's pixels that are the real image's, bit for bit
report    what the sample's own report counts
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi
from skimage.io import imsave

from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.edits import cut
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.stain.haematoxylin import haematoxylin
from napari_cosynth.synthesis import inpaint as inpainting
from napari_cosynth.synthesis.place import Place
from napari_cosynth.training.config import load_recipe
from napari_cosynth.training.records import open_dataset, prepare
from napari_cosynth.types import ClassTable, Layout, Record, Request, Synthesis

HELD_OUT = ("TCGA-AR-A1AS-01Z-00-DX1", "TCGA-B0-5711-01Z-00-DX1", "TCGA-RD-A8N9-01A-01-TS1")
MOST, CLEAR, APART, RING, SHOWN = 4, 9, 18, 5, 20
"""Points a region; pixels from annotated nuclei, from each other, around a nucleus and a picture."""


def tiles(data: Path, names: list[str]) -> list[Record]:
    recipe = load_recipe("default")
    classes = ClassTable.of(*recipe.classes)
    config = next(d for d in recipe.data if d.kind == "folder" and d.root.startswith("monuseg"))
    found = open_dataset(config, data, only=names)
    return [prepare(record, config, recipe, classes) for record in found]


def empty_places(
    record: Record, side: int, rng: np.random.Generator
) -> tuple[Box, npt.NDArray[np.float32]]:
    """A region, and three or four points in it where there is tissue without a nucleus."""
    height, width = record.labels.shape
    away = ndi.distance_transform_edt(record.instances == 0)
    free = (away >= CLEAR) & (ndi.gaussian_filter(record.image.mean(-1), 3) < 215)
    for _ in range(1000):
        y, x = (int(rng.integers(SHOWN, n - side - SHOWN)) for n in (height, width))
        box = Box(y, x, y + side, x + side)
        candidates = np.argwhere(free[box.grown(-8).slices]) + np.array([y + 8, x + 8])
        points: list[npt.NDArray[np.int64]] = []
        for point in rng.permutation(candidates):
            if all(np.hypot(*(point - other)) >= APART for other in points):
                points.append(point)
            if len(points) == MOST:
                break
        if len(points) >= MOST - 1:
            return box, np.array(points, np.float32)
    raise ValueError(f"{record.source}: no region with room for {MOST - 1} nuclei")


def contrasts(
    image: npt.NDArray[np.uint8], instances: npt.NDArray[np.int32], ids: list[int]
) -> list[float]:
    stain, found = haematoxylin(image), []
    for number in ids:
        inside = instances == number
        ring = ndi.binary_dilation(inside, iterations=RING) & (instances == 0)
        if inside.any() and ring.any():
            found.append(float(stain[inside].mean() - stain[ring].mean()))
    return found


def added(
    record: Record, side: int, seed: int, whole: bool
) -> tuple[dict[str, object], npt.NDArray[np.uint8]]:
    """A tile's figures, and the region real and edited side by side."""
    box, points = empty_places(record, side, np.random.default_rng(seed))
    kept = cut(record.layout, box)
    corner = np.array([box.y0, box.x0], np.float32)
    classes, shape = record.classes, record.layout.shape
    before = Layout(kept.centroids + corner, kept.class_ids, shape, record.mpp, classes)
    class_id = np.bincount(record.layout.class_ids).argmax()
    after = Layout(
        np.concatenate([before.centroids, points]),
        np.concatenate([before.class_ids, np.full(len(points), class_id)]),
        shape,
        record.mpp,
        classes,
    )
    request = Request(after, prompt_for(after, record.tissue), seeds=(seed,), tissue=record.tissue)
    place = Place(record.image, box, before=None if whole else before)
    *_, sample = inpainting.inpaint(request, place)
    assert isinstance(sample, Synthesis) and sample.patch is not None
    new = list(range(len(kept) + 1, len(after) + 1))
    near = [int(i) for i in np.unique(record.instances[box.grown(SHOWN).slices]) if i]
    real = np.bincount(record.instances.ravel())[near]
    made = np.bincount(sample.record.instances.ravel(), minlength=len(after) + 1)[new]
    there = contrasts(record.image, record.instances, near)
    here = contrasts(sample.record.image, sample.record.instances, new)
    same = (sample.patch == record.image[box.slices]).all(-1)
    edited = record.image.copy()
    edited[box.slices] = sample.patch
    shown = box.grown(SHOWN).slices
    return {
        "tile": Path(record.source).stem,
        "area": round(float(np.median(made) / np.median(real)), 2),
        "contrast": round(float(np.median(here) / np.median(there)), 2),
        "kept": round(float(same.mean()), 3),
        "report": {name: len(ids) for name, ids in sample.report.to_json().items() if ids},
        "s": round(sample.seconds, 1),
    }, np.concatenate([record.image[shown], edited[shown]])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("COSYNTH_DATA"))
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--tiles", nargs="+", default=list(HELD_OUT))
    parser.add_argument("--whole", action="store_true", help="the whole region is painted anew")
    parser.add_argument("--unseen", action="store_true", help="nuclei around are not looked for")
    parser.add_argument("--picture", type=Path, default=None)
    options = parser.parse_args()
    shown = []
    for seed, record in enumerate(tiles(Path(options.data), options.tiles)):
        detectable = not options.unseen
        with patch.object(inpainting, "detectable", lambda mpp, found=detectable: found):
            figures, picture = added(record, options.side, seed, options.whole)
        print(json.dumps(figures), flush=True)
        shown.append(picture)
    if options.picture is not None:
        twice = np.concatenate(shown, 1).repeat(2, 0).repeat(2, 1)
        imsave(options.picture, twice, check_contrast=False)


if __name__ == "__main__":
    main()
