"""Trains for some minutes on a machine that is given back afterwards, from the source tree alone.

    PYTHONPATH=src python tools/train_chunk.py PACKED --carried STATE --out OUT --minutes 8

PACKED is what ``cosynth pack`` wrote. OUT, replaced where it exists, gets the state in files under
16 MiB (5 bytes a weight) and the log; it is the next chunk's STATE. The first chunk has none.
Beside torch, transformers, Lightning and torchmetrics it needs what ``NEEDED`` names.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import shutil
import sys
import tempfile
import time
from pathlib import Path

NEEDED = {  # import name -> package
    "torch": "torch",
    "lightning": "lightning",
    "torchmetrics": "torchmetrics",
    "safetensors": "safetensors",
    "numpy": "numpy",
    "scipy": "scipy",
    "skimage": "scikit-image",
    "imageio": "imageio",
    "pydantic": "pydantic",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("packed", type=Path, metavar="PACKED")
    parser.add_argument("--carried", type=Path, default=None, metavar="STATE")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--init", default=None, help="checkpoint the first chunk starts from")
    parser.add_argument("--shard-mib", type=float, default=15.0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=None)
    options = parser.parse_args()
    missing = [package for name, package in NEEDED.items() if not importlib.util.find_spec(name)]
    if missing:
        print(f"missing here: {' '.join(missing)} (docs/training.md)", file=sys.stderr)
        return 2
    try:
        chunk(options)
    except (ValueError, OSError) as error:
        print(f"train_chunk: {error}", file=sys.stderr)
        return 2
    return 0


def chunk(options: argparse.Namespace) -> None:
    from napari_cosynth.training.carried import read_carried, write_carried
    from napari_cosynth.training.config import load_recipe
    from napari_cosynth.training.export import RECIPE, STATE
    from napari_cosynth.training.run import train

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    recipe = load_recipe(options.packed / RECIPE)
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        run.mkdir()
        before = 0
        if options.carried is not None:
            before = read_carried(options.carried, run / STATE)
            shutil.copy(options.packed / RECIPE, run / RECIPE)
            print(f"continuing from step {before}")
        begun = time.monotonic()
        train(
            recipe,
            options.packed,
            run,
            resume=before > 0,
            init=None if before else options.init,
            device=options.device,
            workers=options.workers,
            max_hours=options.minutes / 60,
            save_minutes=float("inf"),
            progress=False,
        )
        seconds = time.monotonic() - begun
        files = write_carried(run / STATE, options.out, options.shard_mib)
        step = json.loads((options.out / "state.json").read_text())["checkpoint"]["global_step"]
        for log in run.glob("log/*/metrics.csv"):
            shutil.copy(log, options.out / f"log-{before:07d}.csv")
    images = sum(recipe.stage_at(s).batch for s in range(before, step))
    largest = max(path.stat().st_size for path in files) / 2**20
    total = sum(path.stat().st_size for path in files) / 2**20
    print(f"steps {before} to {step} in {seconds:.0f} s, {images / seconds:.2f} images/s")
    print(f"{options.out}: {len(files)} files, the largest {largest:.1f}, all {total:.1f} MiB")


if __name__ == "__main__":
    sys.exit(main())
