"""Bundles a trained checkpoint with its model card: figures and pictures of held-out layouts.

    python tools/model_card.py runs/default/model --data DATA --log runs/default --out CHECKPOINT

Samples every kind of figure with benchmarks/realism.py and shows what benchmarks/conditions.py wrote
for the same checkpoint, so what the card says is what was measured.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage.io import imread

from napari_cosynth.model.checkpoint import CARD, load, save
from napari_cosynth.model.efficientnet import LICENCE
from napari_cosynth.model.looks import read_bank
from napari_cosynth.training.config import load_recipe

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "benchmarks" / "realism.py"

CARD_TEXT = """\
# {name}: joint diffusion of H&E nuclei images, labels and distance maps

From class-tagged nucleus centroids and a prompt to a {mpp:g} µm/px H&E image, its semantic labels and
its distance map. {parameters:.1f} million weights, stored as float16.

- **Classes**: {classes}. MoNuSeg and TNBC name no classes: their nuclei are *unspecified*.
- **Tissues in the prompt**: {tissues}. Stain: {stains}.
- **Trained on** CoNSeP (23 tiles of 1000x1000), MoNuSeg (27) and TNBC (50 of 512x512) at {mpp:g} µm/px,
  for {steps} steps in {hours} hours on {machine}, by the recipe `{recipe}` (`cosynth train {recipe}`).
  Held out by whole tile: CoNSeP train_6, 12, 18, 24; MoNuSeg TCGA-AR-A1AS, TCGA-B0-5711, TCGA-RD-A8N9.
- **Licence**: {licence}; research and non-commercial use only, as its training data demand. Not a
  medical device.

## Losses of the averaged weights on held-out tiles

{start}

| steps | image, v-MSE | distance, v-MSE | labels, cross-entropy | power over real | area over real |
| --- | --- | --- | --- | --- | --- |
{losses}

The last two columns are of the run's own grid of samples ({layouts} held-out layouts, `{sampler}`).

## Held-out layouts

Left to right: real patch, its nuclei outlined, synthetic patch for the same points, its nuclei outlined.

![real and synthetic patches]({picture})

`{command}` gives, over {patches} patches of 256x256 of held-out CoNSeP tiles:

{table}

{conditions}
## Limits

{limits}
"""


CONDITIONS_TEXT = """\
## What the conditions do

`python benchmarks/conditions.py --data DATA --out FOLDER`, with {seeds} seeds.

![points and samples of rings, a stream and a field](structures.jpg)

Rings of epithelial points of three sizes, a stream of spindle-shaped points, a dense inflammatory field:
points, image, labels, outlined instances, distance.

{structures}

The same layouts, one a row, with every organ named in the prompt, left to right {organs}:

![the same layouts with seven organs](organs.jpg)

Share of the other organs whose real patches are farther from the sample, in colour and spectrum, than
those of the organ that was asked for (1: the organ is always nearest; 0.5: chance). Real patches, their
own tile left out, say how well this tells organs apart at all:

{organ_table}

Guidance, over the same held-out layouts; the default is 1:

{guidance}
"""


def loss_table(log: Path) -> str:
    """Every validation of a run, its versions in the order they were started."""
    rows: dict[int, str] = {}
    samples: dict[int, str] = {}
    bands = ("power_1/64", "power_1/16", "power_1/8", "power_1/4")
    versions = sorted(log.glob("log/version_*/metrics.csv"), key=lambda p: int(p.parent.name[8:]))
    for path in versions:
        with path.open() as handle:
            for row in csv.DictReader(handle):
                if row.get("val_image"):
                    values = [float(row[f"val_{k}"]) for k in ("image", "distance", "labels")]
                    step = int(row["step"]) + 1
                    rows[step] = f"| {step:,} | " + " | ".join(f"{v:.3f}" for v in values) + " |"
                elif row.get("nucleus_area"):
                    power = " ".join(f"{float(row[band]):.2f}" for band in bands)
                    samples[int(row["step"])] = f" {power} | {float(row['nucleus_area']):.2f} |"
    # The logger counts the steps of a resumed run a few off; a grid belongs to the validation beside it.
    beside = {min(rows, key=lambda at, s=step: abs(at - s)): t for step, t in samples.items()}
    return "\n".join(rows[step] + beside.get(step, " – | – |") for step in sorted(rows))


def figure_table(figures: dict[str, dict[str, Any]]) -> str:
    columns = list(figures)
    keys = list(dict.fromkeys(k for values in figures.values() for k in values))

    def cell(value: Any) -> str:
        if value is None:
            return "–"
        if isinstance(value, (list, tuple)):
            return " ".join(cell(v) for v in value)
        if isinstance(value, dict):
            return ", ".join(f"{name} {cell(v)}" for name, v in value.items())
        return f"{value:.4g}"

    lines = ["| | " + " | ".join(columns) + " |", "| --- " * (len(columns) + 1) + "|"]
    for key in keys:
        cells = [cell(figures[column].get(key)) for column in columns]
        lines.append(f"| {key} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def condition_texts(folder: Path) -> dict[str, str]:
    """What the card says of ``conditions.json``."""
    figures = json.loads((folder / "conditions.json").read_text())
    organs = figures["organs"]
    shares = organs["share of other organs that are farther than the prompt's"]
    shares["mean"] = organs["mean (0.5 is chance)"]
    structures = {
        name: value if isinstance(value, dict) else {"samples": value}
        for name, value in figures["structures"].items()
    }
    return {
        "seeds": str(figures["seeds"]),
        "structures": "\n".join(
            f"- {name}: " + ", ".join(f"{k} {v}" for k, v in values.items())
            for name, values in structures.items()
        ),
        "organs": ", ".join(organs["organs, left to right"]),
        "organ_table": figure_table(shares),
        "guidance": figure_table(figures["guidance"]),
    }


def picture(source: Path, target: Path, width: int) -> None:
    """A PNG as a JPEG at most ``width`` pixels wide."""
    image = Image.open(source)
    image.thumbnail((width, width * image.height))
    image.save(target, quality=85)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, default=os.environ.get("COSYNTH_DATA"))
    parser.add_argument("--log", type=Path, required=True, help="the run's folder")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to write")
    parser.add_argument("--machine", default="two CPU cores")
    parser.add_argument("--limits", type=Path, required=True, help="Markdown: what it cannot do")
    parser.add_argument("--conditions", type=Path, help="benchmarks/conditions.py's folder")
    parser.add_argument("--steps", nargs="+", default=["1", "2", "4", "20"])
    parser.add_argument("--patches", default="14")
    options = parser.parse_args()
    held_out = options.log / "held-out.png"
    command = ["--steps", *options.steps, "--patches", options.patches]
    done = subprocess.run(
        [
            *(sys.executable, FIGURES, "--data", options.data, "--checkpoint", options.checkpoint),
            *(*command, "--picture", held_out),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    (options.log / "figures.json").write_text(done.stdout)
    checkpoint = load(options.checkpoint)
    config = checkpoint.config
    recipe = load_recipe(options.log / "recipe.json")
    mean = config.training.get("mean", "")
    name = options.out.name
    card = CARD_TEXT.format(
        name=name,
        mpp=config.mpp,
        parameters=sum(p.numel() for p in checkpoint.model.parameters()) / 1e6,
        classes=", ".join(config.class_names[1:]),
        tissues=", ".join(config.tissues),
        stains=", ".join(config.stains),
        steps=f"{config.training['steps']:,}",
        hours=config.training["hours"],
        recipe=config.training["recipe"],
        machine=options.machine,
        licence=config.licence,
        losses=loss_table(options.log),
        start=str(config.training.get("init", "From random weights."))
        + (f". The mean of two moments of the run: {mean}" if mean else ""),
        layouts=recipe.sample_layouts,
        sampler=f"{recipe.sampler} {recipe.sample_steps}",
        picture="held-out.jpg",
        command="python benchmarks/realism.py --data DATA " + " ".join(command),
        patches=options.patches,
        table=figure_table(json.loads(done.stdout)),
        conditions=""
        if options.conditions is None
        else CONDITIONS_TEXT.format(**condition_texts(options.conditions)),
        limits=options.limits.read_text(encoding="utf-8").strip(),
    )
    if recipe.adversarial is not None:
        card += (
            f"\nTrained against a discriminator on features of {LICENCE}; not needed to sample.\n"
        )
    save(checkpoint.model, config, options.out, card, bank=read_bank(options.checkpoint))
    rows = imread(held_out)
    shown = np.concatenate([rows[i * 256 : (i + 1) * 256] for i in range(5)])
    Image.fromarray(shown).save(options.out / "held-out.jpg", quality=88)
    for name, width in (("structures", 1280), ("organs", 1400)) if options.conditions else ():
        picture(options.conditions / f"{name}.png", options.out / f"{name}.jpg", width)
    print(options.out / CARD)


if __name__ == "__main__":
    main()
