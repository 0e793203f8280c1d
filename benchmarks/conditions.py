"""What the conditions do: structures drawn by points, organs named by the prompt, guidance.

    python benchmarks/conditions.py --data DATA --out FOLDER [--checkpoint default] [--seeds 3]

Prints figures as JSON and writes them to FOLDER/conditions.json, with pictures beside them:
structures.png (points and images of rings, streams and a field), organs.png (the same layouts with
several organs) and guidance.png (the same layouts at several guidances).

Structures are compared with a control: the same points, placed anywhere. Organs are compared by the
distance of a patch's colours and spectrum to each organ's real patches, which are themselves ranked
with their own tile left out, so that one sees how well the distance tells organs apart at all.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.color import rgb2gray, rgb2lab
from skimage.feature import structure_tensor
from skimage.io import imsave
from skimage.measure import regionprops

from napari_cosynth.cli.synthesis.overview import overview
from napari_cosynth.evaluation.metrics.texture import texture
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.layouts.drawn.patterns import (
    SHAPE,
    Canvas,
    Outline,
    inflammatory_field,
    spindle_stream,
)
from napari_cosynth.records.augment import random_crop
from napari_cosynth.records.spectrum import radial_power
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.training.config import load_recipe
from napari_cosynth.training.data import CosynthData
from napari_cosynth.types import Layout, Record, Request, Synthesis
from napari_cosynth.types.classes import BUNDLED
from realism import follow, held_out, training_medians

Floats = npt.NDArray[np.float64]
GUIDANCE = (0.5, 1.0, 2.0, 3.0)
RADII = (26, 44, 62)
BANDS = 8
"""Parts of the spectrum an organ's texture is described by."""


def sampled(
    layout: Layout, tissue: str, seed: int, options: argparse.Namespace, guidance: float = 1.0
) -> Synthesis:
    request = Request(
        layout=layout,
        prompt=prompt_for(layout, tissue),
        checkpoint=options.checkpoint,
        steps=options.steps,
        guidance=guidance,
        seeds=(seed,),
        tissue=tissue,
    )
    (sample,) = (e for e in synthesize(request) if isinstance(e, Synthesis))
    return sample


# Structures ------------------------------------------------------------------------------------


def ring(radius: float, seed: int) -> Layout:
    """One gland cut across: a circle of epithelial points, spindles and lymphocytes around it."""
    canvas = Canvas(seed)
    gland = Outline((SHAPE[0] / 2, SHAPE[1] / 2), radius)
    canvas.place(gland.rim(9.6, 1.0, canvas.rng), "healthy epithelial")
    canvas.scatter(90, "spindle-shaped", lambda p: (gland.depth(p) < -9).astype(float))
    canvas.scatter(40, "inflammatory", lambda p: (gland.depth(p) < -9).astype(float))
    return canvas.layout()


def scattered(layout: Layout, seed: int) -> Layout:
    """The control: as many points of each class, placed anywhere."""
    canvas = Canvas(seed, layout.shape)
    for index, name in enumerate(BUNDLED.names):
        if count := int((layout.class_ids == index).sum()):
            canvas.scatter(count, name, lambda points: np.ones(len(points)))
    return canvas.layout()


def lumen_whiteness(image: npt.NDArray[np.uint8], radius: float) -> float:
    """Mean grey level of the inner 60 % of a ring's disc, less that of all the picture."""
    grey = rgb2gray(image) * 255
    y, x = np.indices(grey.shape)
    away = np.hypot(y - SHAPE[0] / 2, x - SHAPE[1] / 2)
    return float(grey[away < 0.6 * radius].mean() - grey.mean())


def fibre_alignment(record: Record, reach: int = 12) -> float:
    """How well the background's fibres follow the elongated nuclei beside them, -1..1.

    The mean of cos 2(a - b) over the nuclei twice as long as wide: a is a nucleus' long axis, b the
    direction of the background within ``reach`` pixels, from its summed structure tensor. 0 where
    directions have nothing to do with each other.
    """
    grey = rgb2gray(record.image)
    rr, rc, cc = structure_tensor(grey, sigma=1.0, order="rc")
    background = record.instances == 0
    agreement = []
    for nucleus in regionprops(np.asarray(record.instances)):
        if nucleus.area < 20 or nucleus.axis_minor_length * 2 > nucleus.axis_major_length:
            continue
        y, x = (round(v) for v in nucleus.centroid)
        window = np.s_[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
        near = background[window]
        if near.sum() < 50:
            continue
        a, b, c = (tensor[window][near].sum() for tensor in (rr, rc, cc))
        # The tensor's larger axis crosses the fibres: twice its angle, turned by half a circle.
        across = np.arctan2(2 * b, a - c)
        agreement.append(np.cos(2 * nucleus.orientation - across - np.pi))
    return float(np.mean(agreement)) if agreement else float("nan")


def structures(options: argparse.Namespace, real: Sequence[Record]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    shown: list[Synthesis] = []
    for radius in RADII:
        pairs = []
        for seed in range(options.seeds):
            layout = ring(radius, seed)
            made = sampled(layout, "colon", seed, options)
            control = sampled(scattered(layout, seed), "colon", seed, options)
            pairs.append([lumen_whiteness(s.record.image, radius) for s in (made, control)])
            if seed == 0:
                shown.append(made)
        ours, control_mean = np.mean(pairs, 0)
        figures[f"lumen of a ring of {radius} px, grey levels above the mean"] = {
            "ring": round(float(ours), 1),
            "same points anywhere": round(float(control_mean), 1),
        }
    streams = [sampled(spindle_stream(s), "colon", s, options) for s in range(options.seeds)]
    copies = [
        sampled(r.layout, r.tissue, s, options).record for s, r in enumerate(real[: options.seeds])
    ]
    figures["fibres along elongated nuclei, mean cos 2(a - b)"] = {
        "streams": round(float(np.nanmean([fibre_alignment(s.record) for s in streams])), 3),
        "held-out layouts": round(float(np.nanmean([fibre_alignment(r) for r in copies])), 3),
        "their real patches": round(
            float(np.nanmean([fibre_alignment(r) for r in real[: options.seeds]])), 3
        ),
    }
    fields = [sampled(inflammatory_field(s), "colon", s, options) for s in range(options.seeds)]
    figures["inflammatory field, nucleus share of all pixels"] = round(
        float(np.mean([(s.record.labels > 0).mean() for s in fields])), 3
    )
    _picture(options.out / "structures.png", overview([*shown, streams[0], fields[0]]))
    return figures


# Organs ----------------------------------------------------------------------------------------


def described(image: npt.NDArray[np.uint8]) -> Floats:
    """Mean and spread of L*a*b*, and the spectrum's decibels in octave-like bands."""
    lab = rgb2lab(image).reshape(-1, 3)
    power = 10 * np.log10(np.maximum(radial_power(image)[1:], 1e-6))
    edges = np.unique(np.geomspace(1, len(power), BANDS + 1).astype(int))
    bands = [power[a - 1 : b].mean() for a, b in itertools.pairwise(edges)]
    return np.concatenate([lab.mean(0), lab.std(0), bands])


@dataclasses.dataclass(frozen=True)
class Organs:
    """Real patches of every organ, described."""

    organ: npt.NDArray[np.str_]
    tile: npt.NDArray[np.str_]
    features: Floats

    @classmethod
    def of(cls, recipe: str, data: Path, patches: int = 4) -> Organs:
        module = CosynthData(load_recipe(recipe), data)
        rng = np.random.default_rng(0)
        rows = []
        for records in (*module.training, *module.validation):
            for record in records:
                for _ in range(patches):
                    patch = random_crop(record, min(256, *record.labels.shape), rng)
                    rows.append((record.tissue, record.source, described(patch.image)))
        organ, tile, features = zip(*rows, strict=True)
        stacked = np.array(features)
        return cls(np.array(organ), np.array(tile), stacked)

    def distances(self, feature: Floats, without: str = "") -> dict[str, float]:
        """To each organ: the mean distance to its nearest three patches, in pooled deviations."""
        kept = self.tile != without
        scale = self.features.std(0)
        away = np.linalg.norm((self.features - feature) / scale, axis=1)
        return {
            str(o): float(np.sort(away[kept & (self.organ == o)])[:3].mean())
            for o in np.unique(self.organ)
        }


def own_rank(distances: dict[str, float], own: str) -> float:
    """1 where the own organ is the nearest, 0 where it is the farthest."""
    others = [d for organ, d in distances.items() if organ != own]
    return float(np.mean([distances[own] < d for d in others]))


def organs(options: argparse.Namespace, real: Sequence[Record], base: Organs) -> dict[str, Any]:
    names = sorted({str(o) for o in base.organ})
    left_out: dict[str, list[float]] = {name: [] for name in names}
    for organ, tile, feature in zip(base.organ, base.tile, base.features, strict=True):
        left_out[organ].append(own_rank(base.distances(feature, tile), organ))
    ranks: dict[str, list[float]] = {name: [] for name in names}
    rows = []
    for seed, record in enumerate(real[: options.seeds]):
        # No class names an organ's tissue better than another's.
        layout = dataclasses.replace(
            record.layout,
            class_ids=np.full(len(record.layout), BUNDLED.index("unspecified"), np.uint8),
        )
        made = [sampled(layout, name, seed, options) for name in names]
        for name, sample in zip(names, made, strict=True):
            ranks[name].append(own_rank(base.distances(described(sample.record.image)), name))
        rows.append(np.concatenate([s.record.image for s in made], 1))
    _picture(options.out / "organs.png", np.concatenate(rows, 0))
    return {
        "organs, left to right": names,
        "share of other organs that are farther than the prompt's": {
            name: {
                "synthetic": round(float(np.mean(ranks[name])), 2),
                "real, own tile left out": round(float(np.mean(left_out[name])), 2),
            }
            for name in names
        },
        "mean (0.5 is chance)": {
            "synthetic": round(float(np.mean([np.mean(v) for v in ranks.values()])), 3),
            "real, own tile left out": round(
                float(np.mean([np.mean(v) for v in left_out.values()])), 3
            ),
        },
    }


# Guidance --------------------------------------------------------------------------------------


def guidance(options: argparse.Namespace, real: Sequence[Record], base: Organs) -> dict[str, Any]:
    medians = training_medians(options.recipe, options.data)
    images, labels = (np.stack([getattr(r, f) for r in real]) for f in ("image", "labels"))
    figures: dict[str, Any] = {"real": dataclasses.asdict(texture(images, labels))}
    rows = [np.concatenate([r.image for r in real], 1)]
    for w in GUIDANCE:
        made = [sampled(r.layout, r.tissue, s, options, w) for s, r in enumerate(real)]
        arrays = [np.stack([getattr(s.record, f) for s in made]) for f in ("image", "labels")]
        ranks = [
            own_rank(base.distances(described(s.record.image), r.source), r.tissue)
            for s, r in zip(made, real, strict=True)
        ]
        figures[f"guidance {w:g}"] = {
            **dataclasses.asdict(texture(*arrays)),
            **follow(made, medians),
            "share of other organs that are farther": round(float(np.mean(ranks)), 3),
        }
        rows.append(np.concatenate([s.record.image for s in made], 1))
    _picture(options.out / "guidance.png", np.concatenate(rows, 0))
    return figures


def _picture(path: Path, picture: npt.NDArray[np.uint8]) -> None:
    imsave(path, picture, check_contrast=False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("COSYNTH_DATA"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    consep = held_out(options.recipe, options.data, ["consep"], options.seeds)
    mixed = [*consep, *held_out(options.recipe, options.data, ["monuseg"], options.seeds)]
    base = Organs.of(options.recipe, options.data)
    figures = {
        "seeds": options.seeds,
        "structures": structures(options, consep),
        "organs": organs(options, mixed[options.seeds :], base),
        "guidance": guidance(options, mixed, base),
    }
    (options.out / "conditions.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
