"""One change to the default recipe at a time, at equal compute, on whole-tile cross-validation.

    python benchmarks/ablations.py run --data DATA --out RUNS [--only NAME ...] [--folds 0 1 2 3 4]
    python benchmarks/ablations.py report --out RUNS

Every (variant, fold) is a run of its own, skipped where RUNS already holds its result and resumed
where it was killed, so that the set can be finished piece by piece and on several machines. A variant
trains for as many steps as cost what the baseline's cost (floating-point operations of a training
step, counted). It is judged on held-out tiles of CoNSeP: the same layouts and seeds in every
variant. ``report`` prints the difference to the baseline, paired by patch, with 95 % intervals by
bootstrap over tiles, as a Markdown table.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.flop_counter import FlopCounterMode

from napari_cosynth.atomic import replaced_file
from napari_cosynth.data.augment import random_crop
from napari_cosynth.evaluation.bootstrap import bootstrap_weights, weighted_mean
from napari_cosynth.evaluation.texture import radial_power, spectral_distance, texture
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.model.checkpoint import build
from napari_cosynth.settings import parse, plain
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.training.config import DataConfig, Recipe, load_recipe
from napari_cosynth.training.data import CosynthData
from napari_cosynth.training.module import JointDiffusion
from napari_cosynth.training.records import open_dataset
from napari_cosynth.training.run import checkpoint_config, train
from napari_cosynth.types import Record, Request, Synthesis

Table = dict[str, Any]
FOLDS = 5
BASELINE = "baseline"
VARIANTS: dict[str, Table] = {
    BASELINE: {},
    "CoNSeP alone": {"data": ["consep/train"]},
    "class-balanced patches": {"class_balance": 0.5},
    "stain jitter 0.1": {"stain_jitter": 0.1},
    "scale jitter 0.15": {"scale_jitter": 0.15},
    "all times alike": {"loss": {"low_noise": 0.0}},
    "min-SNR 5": {"loss": {"low_noise": 1.0}},
    "P2": {"loss": {"low_noise": 0.0, "p2": 1.0}},
    "average over 100 steps": {"optimizer": {"ema": 0.99}},
    "average over 5,000 steps": {"optimizer": {"ema": 0.9998}},
    "epsilon instead of v": {"network": {"parametrisation": "epsilon"}},
    "posterior KL instead of cross-entropy": {"network": {"label_head": "kl"}},
    "wide and shallow": {"network": {"widths": [64, 128, 192, 256], "blocks": [1, 1, 1, 1]}},
    "narrow and deep": {"network": {"widths": [40, 80, 120, 160], "blocks": [3, 3, 3, 3]}},
    "half of it on twice the side": {"stages": "twice"},
    "text never dropped": {"text_dropout": 0.0},
    "text dropped 0.3": {"text_dropout": 0.3},
    "points as Gaussians of 2 px": {"network": {"point_blur": 2.0}},
}
FIGURES = (
    "spectrum, dB off",
    "Laplacian, share off",
    "colour, grey levels off",
    "points with their class",
    "foreground off, share of pixels",
)


def fold_of(name: str) -> int:
    """A tile's fold depends on its name alone."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % FOLDS


def recipe_of(variant: str, fold: int, options: argparse.Namespace) -> Recipe:
    """The default recipe with one change, its tiles of one fold held out, at the given budget."""
    table = plain(load_recipe("default"))
    change = copy.deepcopy(VARIANTS[variant])
    table["name"] = f"ablation: {variant}, fold {fold}"
    if kept := change.pop("data", None):
        table["data"] = [d for d in table["data"] if d["root"] in kept]
    for config in table["data"]:
        names = open_dataset(parse(DataConfig, config, "data"), options.data).names
        config["validation"] = [name for name in names if fold_of(name) == fold]
    twice = change.pop("stages", None) == "twice"
    for key, value in change.items():
        table[key] = {**table[key], **value} if isinstance(value, dict) else value
    table.update(validate_every=options.steps, sample_layouts=0, validation_patches=8)
    return scheduled(table, options.steps, twice, options)


def scheduled(table: Table, steps: int, twice: bool, options: argparse.Namespace) -> Recipe:
    stage = {"steps": steps, "crop": options.crop, "batch": options.batch}
    table["stages"] = [stage]
    if twice:
        larger = {"crop": 2 * options.crop, "batch": max(1, options.batch // 4)}
        table["stages"] = [{**stage, "steps": steps // 2}, {**stage, **larger, "steps": steps // 2}]
    table["optimizer"] = {
        **table["optimizer"],
        "warmup": max(1, min(200, steps // 10)),
        "decay": steps // 4,
    }
    return parse(Recipe, table, table["name"])


def cost_per_step(recipe: Recipe, data: CosynthData) -> float:
    """Floating-point operations of a training step: the mean over the stages."""
    module = JointDiffusion(build(checkpoint_config(recipe, data.tissues)), recipe)
    costs, step = [], 0
    for stage in recipe.stages:
        with FlopCounterMode(display=False) as counter:
            losses = module.losses(module.model, data.stream.batch_at(step))
            losses.total(recipe.loss).backward()
        costs.append(counter.get_total_flops())
        step += stage.steps
    return float(np.mean(costs))


def held_out_patches(data: CosynthData, count: int, size: int) -> list[Record]:
    """Patches of the held-out CoNSeP tiles, the first data set: the same for every variant."""
    rng = np.random.default_rng(0)
    return [random_crop(tile, size, rng) for tile in data.validation[0] for _ in range(count)]


def judged(real: Record, made: Record) -> dict[str, float]:
    """How far a sample is from the real patch whose layout it has."""
    a, b = (texture(r.image[None], r.labels[None]) for r in (real, made))
    rows, columns = np.floor(real.layout.centroids + 0.5).astype(int).T
    colours = np.abs(np.array(a.colour) - b.colour)
    return {
        "spectrum, dB off": spectral_distance(radial_power(real.image), radial_power(made.image)),
        "Laplacian, share off": abs(b.laplacian / a.laplacian - 1),
        "colour, grey levels off": float(colours.mean()),
        "points with their class": float(
            (made.labels[rows, columns] == real.layout.class_ids).mean()
        )
        if len(rows)
        else float("nan"),
        "foreground off, share of pixels": abs(
            float((made.labels > 0).mean()) - float((real.labels > 0).mean())
        ),
    }


def run_one(variant: str, fold: int, options: argparse.Namespace) -> None:
    result = result_path(options.out, variant, fold)
    if result.is_file():
        return
    recipe = recipe_of(variant, fold, options)
    data = CosynthData(recipe, options.data)
    baseline = recipe_of(BASELINE, fold, options)
    share = cost_per_step(baseline, data) / cost_per_step(recipe, data)
    recipe = scheduled(plain(recipe), round(options.steps * share), len(recipe.stages) > 1, options)
    folder = result.with_suffix("")
    model = train(
        recipe,
        options.data,
        folder,
        resume=(folder / "recipe.json").is_file(),
        device=options.device,
        progress=False,
    )
    rows = []
    for seed, real in enumerate(held_out_patches(data, options.patches, options.size)):
        request = Request(
            layout=real.layout,
            prompt=prompt_for(real.layout, real.tissue),
            checkpoint=str(model),
            seeds=(seed,),
            device=options.device,
        )
        (sample,) = (e for e in synthesize(request) if isinstance(e, Synthesis))
        rows.append({"tile": real.source, **judged(real, sample.record)})
    content = {"variant": variant, "fold": fold, "steps": recipe.total_steps, "patches": rows}
    with replaced_file(result) as fresh:
        fresh.write_text(json.dumps(content, indent=1) + "\n")
    shutil.rmtree(folder)
    print(f"{variant}, fold {fold}: {recipe.total_steps} steps", flush=True)


def result_path(out: Path, variant: str, fold: int) -> Path:
    name = "".join(c if c.isalnum() else "-" for c in variant)
    return out / f"{name}.{fold}.json"


def report(out: Path) -> str:
    """A row per variant, over the folds that it and the baseline both have."""
    found: dict[str, dict[int, list[Table]]] = {}
    for path in sorted(out.glob("*.json")):
        content = json.loads(path.read_text())
        found.setdefault(content["variant"], {})[content["fold"]] = content["patches"]
    lines = ["| | folds | " + " | ".join(FIGURES) + " |", "| --- " * (len(FIGURES) + 2) + "|"]
    for variant in (v for v in VARIANTS if v in found):
        folds = sorted(found[variant].keys() & found[BASELINE].keys())
        pairs = [
            (theirs, ours)
            for fold in folds
            for theirs, ours in zip(found[BASELINE][fold], found[variant][fold], strict=True)
        ]
        weights = bootstrap_weights([ours["tile"] for _, ours in pairs])
        cells = []
        for figure in FIGURES:
            base = 0.0 if variant == BASELINE else 1.0
            values = [ours[figure] - base * theirs[figure] for theirs, ours in pairs]
            estimate = weighted_mean(values, weights)
            low, high = estimate.interval
            mark = "**" if variant != BASELINE and (low > 0 or high < 0) else ""
            sign = "" if variant == BASELINE else "+"
            cells.append(f"{mark}{estimate.value:{sign}.3g}{mark} ({low:.3g} to {high:.3g})")
        lines.append(f"| {variant} | {len(folds)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


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
    parser.add_argument("--steps", type=int, default=2000, help="the baseline's")
    parser.add_argument("--crop", type=int, default=64, help="pixels a side")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--patches", type=int, default=2, help="of each held-out tile")
    parser.add_argument("--size", type=int, default=256, help="of a patch, pixels a side")
    options = parser.parse_args()
    if options.action == "run":
        options.out.mkdir(parents=True, exist_ok=True)
        for fold in options.folds:
            for variant in options.only:
                run_one(variant, fold, options)
    print(report(options.out))


if __name__ == "__main__":
    main()
