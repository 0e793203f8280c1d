"""One change to a recipe at a time, at equal compute, on whole-tile cross-validation.

    python benchmarks/ablations.py run --data DATA --out RUNS [--only NAME ...] [--folds 0 1 2 3 4]
    python benchmarks/ablations.py report --out RUNS

In every fold the recipe is trained for ``--base`` steps on the other folds' tiles; each variant
continues from there for as many steps as cost what ``--steps`` of the recipe's own cost
(floating-point operations of a training step, counted). A change of the network cannot continue
from its weights: it starts from nothing and has the base's compute too.

Judged on held-out tiles, the same patches, noise and seeds in every variant: the error of the clean
estimate that a sampler would use, and samples for CoNSeP's layouts. ``report`` prints the
difference to the baseline, paired by patch, with 95 % intervals by bootstrap over tiles, as
Markdown tables. Two trainings differ by chance too, which tiles drawn anew do not show: in bold is what
also exceeds twice the chance that another seed shows.

Every (variant, fold) is skipped where RUNS already holds its result and resumed where it was killed,
so that the set can be finished piece by piece and on several machines.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from ablation_tables import BASELINE, CHANCE, Table, report
from napari_cosynth.diffusion import joint
from napari_cosynth.diffusion.schedule import T_MAX, JointSchedule
from napari_cosynth.evaluation.metrics.texture import spectral_distance, texture
from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.io.settings import parse, plain
from napari_cosynth.model.checkpoint import Model, build, load
from napari_cosynth.model.encoding import encode_condition
from napari_cosynth.records.augment import random_crop
from napari_cosynth.records.spectrum import radial_power
from napari_cosynth.training.config import DataConfig, Recipe, load_recipe
from napari_cosynth.training.data import Batch, CosynthData, collate
from napari_cosynth.training.module import JointDiffusion
from napari_cosynth.training.records import open_dataset
from napari_cosynth.training.run import checkpoint_config, train
from napari_cosynth.types import Record
from realism import samples_of

FOLDS = 5
VARIANTS: dict[str, Table] = {
    BASELINE: {},
    CHANCE: {"seed": 1},
    "CoNSeP alone": {"sets": 1},
    "class-balanced patches": {"class_balance": 0.5},
    "stain jitter 0.1": {"stain_jitter": 0.1},
    "scale jitter 0.15": {"scale_jitter": 0.15},
    "all times alike": {"loss": {"low_noise": 0.0}},
    "min-SNR 5": {"loss": {"low_noise": 1.0}},
    "P2": {"loss": {"low_noise": 0.0, "p2": 1.0}},
    "no average": {"optimizer": {"ema": 0.0}},
    "average over 5 steps": {"optimizer": {"ema": 0.8}},
    "half of it on twice the side": {"stages": "twice"},
    "text never dropped": {"text_dropout": 0.0},
    "text dropped 0.3": {"text_dropout": 0.3},
    "posterior KL instead of cross-entropy": {"network": {"label_head": "kl"}},
    "epsilon instead of v": {"network": {"parametrisation": "epsilon"}},
    "wide and shallow": {"network": {"widths": [64, 128, 192, 256], "blocks": [1, 1, 1, 1]}},
    "narrow and deep": {"network": {"widths": [40, 80, 120, 160], "blocks": [3, 3, 3, 3]}},
    "points as Gaussians of 2 px": {"network": {"point_blur": 2.0}},
}
FROM_NOTHING = (
    "posterior KL instead of cross-entropy",
    "epsilon instead of v",
    "wide and shallow",
    "narrow and deep",
    "points as Gaussians of 2 px",
)
"""Their networks do not fit the base's weights, or read them otherwise."""
TIMES = (0.1, 0.35, 0.6, 0.85)
"""Where the clean estimate is judged, as shares of the largest t."""


def fold_of(name: str) -> int:
    """A tile's fold depends on its name alone."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % FOLDS


def recipe_of(variant: str, fold: int, steps: int, options: argparse.Namespace) -> Recipe:
    """The recipe with one change, its tiles of one fold held out, at the given budget."""
    table = plain(load_recipe(options.recipe))
    change = copy.deepcopy(VARIANTS[variant])
    table["name"] = f"ablation: {variant}, fold {fold}"
    table["data"] = table["data"][: change.pop("sets", None)]
    for config in table["data"]:
        config.update(validation=[], validation_share=0.0)
        names = open_dataset(parse(DataConfig, config, "data"), options.data).names
        config["validation"] = [name for name in names if fold_of(name) == fold]
    stage = {"steps": steps, "crop": options.crop, "batch": options.batch}
    table["stages"] = [stage]
    if change.pop("stages", None) == "twice":
        larger = {"crop": 2 * options.crop, "batch": max(1, options.batch // 4)}
        table["stages"] = [{**stage, "steps": steps // 2}, {**stage, **larger, "steps": steps // 2}]
    table["optimizer"].update(warmup=max(1, min(200, steps // 10)), decay=steps // 4)
    for key, value in change.items():
        table[key] = {**table[key], **value} if isinstance(value, dict) else value
    table.update(validate_every=steps, sample_layouts=0, validation_patches=4)
    return parse(Recipe, table, table["name"])


class Judge:
    """The held-out patches of a fold, and what is asked of every variant there."""

    def __init__(self, fold: int, options: argparse.Namespace) -> None:
        self.options = options
        self.recipe = recipe_of(BASELINE, fold, options.steps, options)
        self.data = CosynthData(self.recipe, options.data)
        rng = np.random.default_rng(fold)
        self.patches = [
            (number, random_crop(tile, options.size, rng))
            for number, tiles in enumerate(self.data.validation)
            for tile in tiles
        ]

    def batch(self, records: list[Record], t: torch.Tensor) -> Batch:
        rngs = [np.random.default_rng(row) for row in range(len(records))]
        return collate(records, rngs, t, dropout=0.0)

    def cost_per_step(self, recipe: Recipe) -> float:
        """Floating-point operations of a training step: the mean over the stages."""
        module = JointDiffusion(build(checkpoint_config(recipe, self.data.tissues)), recipe)
        costs = []
        for stage in recipe.stages:
            rng = np.random.default_rng(0)
            tiles = [self.data.validation[0][0]] * stage.batch
            crops = [random_crop(tile, stage.crop, rng) for tile in tiles]
            with FlopCounterMode(display=False) as counter:
                losses = module.losses(module.model, self.batch(crops, torch.rand(stage.batch)))
                losses.total(recipe.loss).backward()
            costs.append(counter.get_total_flops())
        return float(np.mean(costs))

    def errors(self, model: Model) -> list[Table]:
        """Per patch, the mean over ``TIMES`` of the clean estimate's squared error over the noise's
        variance (what v-MSE is of a network that predicts v), and of the labels' cross-entropy."""
        rows = []
        schedule = JointSchedule()
        t = T_MAX * torch.tensor(TIMES, dtype=torch.float64)
        for number, patch in self.patches:
            batch = self.batch([patch] * len(TIMES), t)
            state = joint.corrupt(batch.clean, batch.noise, t, schedule, model.network.classes)
            with torch.no_grad():
                condition = encode_condition(batch.points, batch.prompts, model.text)
                prediction = model.network(state, t, model.network.prepare(condition))
            made = joint.estimate(prediction, state, t, schedule)
            variance = schedule.image.sigma(t) ** 2
            image = ((made.image - batch.clean.image) ** 2).mean((1, 2, 3)) / variance
            distance = ((made.distance - batch.clean.distance) ** 2).mean((1, 2, 3)) / variance
            right = made.probabilities.gather(1, batch.clean.labels[:, None])
            place = "image, others" if number else "image, CoNSeP"
            rows.append(
                {
                    "tile": patch.source,
                    place: float(image.mean()),
                    "distance": float(distance.mean()),
                    "labels": float(-right.clamp_min(1e-8).log().mean()),
                }
            )
        return rows

    def samples(self, model: Path) -> list[Table]:
        """A sample for the layout of every held-out CoNSeP patch, beside the patch."""
        steps, device = self.options.sample_steps, self.options.device
        patches = [patch for number, patch in self.patches if not number]
        made = samples_of(patches, str(model), steps, device=device)
        return [
            {"tile": real.source, **beside(real, sample.record)}
            for real, sample in zip(patches, made, strict=True)
        ]


def beside(real: Record, made: Record) -> dict[str, float]:
    """How far a sample is from the real patch whose layout it has."""
    a, b = (texture(r.image[None], r.labels[None]) for r in (real, made))
    rows, columns = np.floor(real.layout.centroids + 0.5).astype(int).T
    colours = np.abs(np.array(a.colour) - b.colour)
    follow = (made.labels[rows, columns] == real.layout.class_ids).mean() if len(rows) else np.nan
    foreground = float((made.labels > 0).mean()) - float((real.labels > 0).mean())
    return {
        "spectrum, dB off": spectral_distance(radial_power(real.image), radial_power(made.image)),
        "Laplacian, share off": abs(b.laplacian / a.laplacian - 1),
        "colour, grey levels off": float(colours.mean()),
        "points with their class": float(follow),
        "foreground off, share of pixels": abs(foreground),
    }


def trained(recipe: Recipe, folder: Path, init: Path | None, options: argparse.Namespace) -> Path:
    """A run in ``folder``, resumed where it was killed."""
    resume = (folder / "recipe.json").is_file()
    return train(recipe, options.data, folder, resume, init, device=options.device, progress=False)


def run_one(variant: str, fold: int, judge: Callable[[int], Judge], options: Any) -> None:
    result = result_path(options.out, variant, fold)
    if result.is_file():
        return
    base = options.out / f"base.{fold}"
    if not (base / "model").is_dir():
        trained(recipe_of(BASELINE, fold, options.base, options), base, None, options)
    scratch = variant in FROM_NOTHING
    steps = options.base + options.steps if scratch else options.steps
    share = judge(fold).cost_per_step(judge(fold).recipe) / judge(fold).cost_per_step(
        recipe_of(variant, fold, steps, options)
    )
    recipe = recipe_of(variant, fold, round(steps * share), options)
    folder = result.with_suffix("")
    model = trained(recipe, folder, None if scratch else base / "model", options)
    content = {
        "variant": variant,
        "fold": fold,
        "steps": recipe.total_steps,
        "errors": judge(fold).errors(load(model).model.eval()),
        "samples": judge(fold).samples(model),
    }
    with replaced_file(result) as fresh:
        fresh.write_text(json.dumps(content, indent=1) + "\n")
    shutil.rmtree(folder)
    print(f"{variant}, fold {fold}: {recipe.total_steps} steps", flush=True)


def result_path(out: Path, variant: str, fold: int) -> Path:
    name = "".join(c if c.isalnum() else "-" for c in variant)
    return out / f"{name}.{fold}.json"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("action", choices=("run", "report"))
    parser.add_argument("--data", type=Path, default=os.environ.get("COSYNTH_DATA"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(FOLDS)))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--recipe", default="default", help="a name or a file, also a packed one's")
    parser.add_argument("--base", type=int, default=2000, help="steps before the variants part")
    parser.add_argument("--steps", type=int, default=1000, help="the baseline's after that")
    parser.add_argument("--crop", type=int, default=64, help="pixels a side")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--size", type=int, default=128, help="of a held-out patch, pixels a side")
    parser.add_argument("--sample-steps", type=int, default=10)
    options = parser.parse_args()
    if options.action == "run":
        options.out.mkdir(parents=True, exist_ok=True)
        judge = cache(lambda fold: Judge(fold, options))
        for fold in options.folds:
            for variant in options.only:
                run_one(variant, fold, judge, options)
    print(report(options.out, VARIANTS))


if __name__ == "__main__":
    main()
