"""Held-out layouts -> samples of a checkpoint, against the real patches the layouts come from.

    python benchmarks/realism.py --data DATA [--checkpoint default] [--steps 4] [--patches 14]
        [--look own|seed|none] [--training]

DATA is the folder of the data sets (default: COSYNTH_DATA). Prints the figures as JSON and, with
--picture, writes real and synthetic patches side by side. ``own`` asks for the look of each layout's
own tile, as a user does who names a reference. ``--training`` takes training tiles instead of held-out
ones: settings and weights are chosen on those.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.io import imsave

from napari_cosynth.cli.synthesis.overview import outlined
from napari_cosynth.evaluation.metrics.shapes import class_medians, measure_nuclei
from napari_cosynth.evaluation.metrics.texture import texture
from napari_cosynth.evaluation.reports.samples import spread
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.model.checkpoint import read_config
from napari_cosynth.model.looks import look_of
from napari_cosynth.records.augment import random_crop
from napari_cosynth.records.spectrum import band_power, radial_power
from napari_cosynth.stain.normalise import optical_density
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.training.config import load_recipe
from napari_cosynth.training.data import CosynthData
from napari_cosynth.types import Record, Request, Synthesis

AREAS = "instances of 0.5-2x their class' median area"


def held_out(
    recipe_name: str,
    data: Path,
    sets: list[str],
    count: int,
    size: int = 256,
    seed: int = 1,
    training: bool = False,
) -> list[Record]:
    """``count`` patches of ``size`` pixels a side from the validation tiles of the data sets named.

    With ``training`` from their training tiles, spread evenly, instead.
    """
    recipe = load_recipe(recipe_name)
    chosen = tuple(d for d in recipe.data if d.root.split("/")[0] in sets)
    module = CosynthData(dataclasses.replace(recipe, data=chosen), data)
    split = module.training if training else module.validation
    tiles = [record for records in split for record in records]
    if training:
        tiles = [tiles[i] for i in spread(len(tiles), count)]
    rng = np.random.default_rng(seed)
    return [random_crop(tiles[i % len(tiles)], size, rng) for i in range(count)]


def training_medians(recipe_name: str, data: Path) -> npt.NDArray[np.float64]:
    """The median area in µm² of each class' nuclei on the training tiles, (K,)."""
    module = CosynthData(load_recipe(recipe_name), data)
    tiles = [record for records in module.training for record in records]
    return class_medians([measure_nuclei(r, hulls=False) for r in tiles], len(module.classes))


def plausible_areas(records: list[Record], medians: npt.NDArray[np.float64]) -> float:
    """The share of instances with a point whose area is 0.5-2x the median of the point's class."""
    fits = []
    for record in records:
        nuclei = measure_nuclei(record, hulls=False)
        own = nuclei.ids <= len(record.layout)
        usual = medians[record.layout.class_ids[nuclei.ids[own] - 1]]
        fits.append((nuclei.area[own] >= 0.5 * usual) & (nuclei.area[own] <= 2 * usual))
    return float(np.concatenate(fits).mean())


def follow(samples: list[Synthesis], medians: npt.NDArray[np.float64]) -> dict[str, float]:
    """How the labels follow the layout."""
    right = points = spurious = pixels = nuclei = 0
    for sample in samples:
        record = sample.record
        rows, columns = np.floor(record.layout.centroids + 0.5).astype(int).T
        right += int((sample.raw_labels[rows, columns] == record.layout.class_ids).sum())
        points += len(record.layout)
        spurious += int((record.instances > len(record.layout)).sum())
        pixels += record.instances.size
        nuclei += int((record.instances > 0).sum())
    return {
        "points whose pixel has their class": right / points,
        AREAS: plausible_areas([s.record for s in samples], medians),
        "spurious foreground": spurious / pixels,
        "nucleus area of all pixels": nuclei / pixels,
        "merged": sum(len(s.report.merged) for s in samples) / points,
        "missed": sum(len(s.report.missed) for s in samples) / points,
        "flagged": sum(len(s.report.flagged) for s in samples) / points,
    }


def samples_of(
    records: list[Record],
    checkpoint: str,
    steps: int,
    looks: list[tuple[float, ...]] | None = None,
    **options: Any,
) -> list[Synthesis]:
    """A sample for each record's layout, its place in the list the seed; ``looks`` are those that are
    asked for, and there may be further fields of a request."""
    samples = []
    for seed, record in enumerate(records):
        if looks is not None:
            options["look"] = looks[seed]
        request = Request(
            layout=record.layout,
            prompt=prompt_for(record.layout, record.tissue),
            checkpoint=checkpoint,
            steps=steps,
            seeds=(seed,),
            tissue=record.tissue,
            **options,
        )
        samples += [e for e in synthesize(request) if isinstance(e, Synthesis)]
    return samples


def held_out_looks(
    recipe_name: str, data: Path, sets: list[str], records: list[Record], training: bool = False
) -> list[tuple[float, ...]]:
    """The look of the whole tile that each patch was cut from; ``training`` as in :func:`held_out`."""
    recipe = load_recipe(recipe_name)
    chosen = tuple(d for d in recipe.data if d.root.split("/")[0] in sets)
    module = CosynthData(dataclasses.replace(recipe, data=chosen), data)
    split = module.training if training else module.validation
    tiles = {record.source: record for records in split for record in records}
    return [look_of(tiles[record.source].image) for record in records]


def against(records: list[Record], samples: list[Synthesis]) -> dict[str, Any]:
    """What compares samples with the real patches of their layouts."""
    made = [sample.record for sample in samples]
    side = min(records[0].labels.shape)
    powers = [
        band_power(np.mean([radial_power(r.image) for r in group], 0), side)
        for group in (made, records)
    ]
    density = [
        np.array([optical_density(r.image).mean() for r in group]) for group in (made, records)
    ]
    names = records[0].classes.names
    counts = [
        np.sum([np.bincount(r.labels.ravel(), minlength=len(names)) for r in group], 0)
        for group in (made, records)
    ]
    return {
        "power over real": (powers[0] / powers[1]).round(3).tolist(),
        "correlation of mean optical density": float(np.corrcoef(density)[0, 1]),
        "mean optical density, made and real": [float(d.mean()) for d in density],
        "area over real": float(counts[0][1:].sum() / counts[1][1:].sum()),
        "area over real by class": {
            name: round(float(counts[0][i] / counts[1][i]), 3)
            for i, name in enumerate(names)
            if i and counts[1][i]
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("COSYNTH_DATA"))
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--sets", nargs="+", default=["consep"])
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--sampler", default="", help="default: the checkpoint's own")
    parser.add_argument("--steps", type=int, nargs="+", default=[0])
    parser.add_argument("--look", choices=("own", "seed", "none"), default="own")
    parser.add_argument("--guidance", type=float, default=1.0)
    parser.add_argument("--patches", type=int, default=14)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--training", action="store_true", help="training tiles, to choose by")
    parser.add_argument("--picture", type=Path, default=None)
    options = parser.parse_args()
    where = options.recipe, options.data, options.sets
    training = options.training
    real = held_out(*where, options.patches, options.size, training=training)
    medians = training_medians(options.recipe, options.data)
    images, labels = (np.stack([getattr(r, f) for r in real]) for f in ("image", "labels"))
    result: dict[str, object] = {
        "real": {
            **dataclasses.asdict(texture(images, labels)),
            "nucleus area of all pixels": float((labels > 0).mean()),
            AREAS: plausible_areas(real, medians),
        }
    }
    for steps in options.steps:
        how = {"sampler": options.sampler, "guidance": options.guidance}
        looks = None
        if options.look == "own" and read_config(options.checkpoint).look is not None:
            looks = held_out_looks(*where, real, training)
        elif options.look == "none":
            how["look"] = "none"
        samples = samples_of(real, options.checkpoint, steps, looks, **how)
        made = [np.stack([getattr(s.record, f) for s in samples]) for f in ("image", "labels")]
        request = samples[0].request
        result[f"{request.sampler} {request.steps}"] = {
            **dataclasses.asdict(texture(*made)),
            **follow(samples, medians),
            **against(real, samples),
            "median seconds a sample": statistics.median(s.seconds for s in samples),
        }
        if options.picture is not None:
            rows = [
                np.concatenate([r.image, outlined(r), s.record.image, outlined(s.record)], 1)
                for r, s in zip(real, samples, strict=True)
            ]
            imsave(options.picture, np.concatenate(rows, 0), check_contrast=False)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
