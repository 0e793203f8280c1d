"""Jobs killed at random moments, and starved of disk: what was safe, what a run to the end gives.

python benchmarks/killed.py [--moments 100 --jobs export ...] [--disk]

Half of the moments are before a change to files (opened to write, renamed, removed), half at any time.
Runs that go on are killed again until they are done, or run to the end, and compared byte for byte with
one that nothing stopped. ``--disk``, as root: on a tmpfs of a random size, which then grows. Prints a row
of docs/results/killed.md for each job.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import distributed
import torch

import killed_jobs
from conftest import untrained
from killing import REFUSED, Content, Figures, Job, judge_refusal, killed, run, whole
from napari_cosynth import registry
from napari_cosynth.export.folder import write_folder
from napari_cosynth.generate.run import Engine
from napari_cosynth.training.config import (
    AdversarialConfig,
    DataConfig,
    DiscriminatorConfig,
    OptimizerConfig,
    Recipe,
    StageConfig,
)
from nuclei import CLASSES, items

PAGE = 4096


def recipe(adversarial: bool) -> Recipe:
    """Eight steps over small crops."""
    few = AdversarialConfig(
        nodes=(0.999, 0.7, 0.35), rows=1, silent=1, ramp=2,
        discriminator=DiscriminatorConfig(blocks=(0, 2), width=8),
    )  # fmt: skip
    return Recipe(
        name="toy",
        mpp=0.5,
        classes=CLASSES.names[1:],
        data=(DataConfig("folder", "toy", validation=("tile_1",)),),
        stages=(StageConfig(4, 32, 2), StageConfig(4, 32, 3)),
        network={
            "preset": "compact", "widths": [8, 16], "blocks": [1, 1], "cross_attention": [1],
            "text_width": 16, "point_channels": 8, "point_growth": 4,
        },
        text={"kind": "compact", "width": 16, "heads": 2},
        optimizer=OptimizerConfig(warmup=2, decay=2),
        precision="32",
        validate_every=4,
        validation_patches=2,
        validation_crop=32,
        sample_layouts=1,
        sample_shape=32,
        sample_steps=3 if adversarial else 2,
        sampler="few" if adversarial else "fast",
        adversarial=few if adversarial else None,
    )  # fmt: skip


def dask_engine() -> Engine:
    """Two threads of a dask cluster in the process that is killed."""
    from napari_cosynth.generate.cluster import on_client

    client = distributed.Client(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    )
    return on_client(client, 2)


def jobs(root: Path) -> dict[str, Callable[[], Job]]:
    checkpoint = untrained(root / "tiny")
    write_folder(items(3, shape=(64, 64)), root / "data" / "toy")
    kinds = registry.names("exporter")
    return {
        **{f"export, {kind}": lambda kind=kind: killed_jobs.export(kind) for kind in kinds},
        "conversion": lambda: killed_jobs.conversion("coco", root),
        "saving from napari": lambda: killed_jobs.saving(root),
        "canvas, scratch": lambda: killed_jobs.canvas(root, checkpoint),
        "generation, one process": lambda: killed_jobs.generation(root, checkpoint),
        "generation, dask": lambda: killed_jobs.generation(root, checkpoint, dask_engine),
        "training": lambda: killed_jobs.training(recipe(False), root / "data"),
        "adversarial training": lambda: killed_jobs.training(recipe(True), root / "data"),
    }


@contextlib.contextmanager
def disk(place: Path, size: int) -> Iterator[Callable[[], None]]:
    """A file system of so many bytes; what is given makes room on it."""
    place.mkdir()
    options = ["mount", "-t", "tmpfs", "-o"]
    subprocess.run([*options, f"size={size}", "tmpfs", str(place)], check=True)
    try:
        yield (
            lambda: (
                subprocess.run(["mount", "-o", "remount,size=1g", str(place)], check=True) and None
            )
        )
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
        place.rmdir()


def pages(content: Content) -> int:
    """Of a tmpfs: each file's own, and some for folders."""
    return 8 + sum(-(-len(part) // PAGE) for part in content.values())


def full(job: Job, root: Path, moments: int, seed: int) -> Figures:
    """Runs a job on disks that are too small by random amounts, then with room."""
    old, new, _ = whole(job, root)
    first, needed = pages(old), pages(old) + pages(new)
    random, figures = Random(seed), Figures()
    for moment in range(moments):
        size = random.randint(first, first + int(1.5 * needed)) * PAGE
        with disk(root / f"disk-{moment}", size) as grow:
            out = root / f"disk-{moment}" / "in" / "out"
            try:
                out.parent.mkdir()
                if job.before is not None:
                    job.before(out)
            except OSError:  # no room for what is there before
                grow()
                continue
            end = run(lambda out=out: job.run(out))
            figures.refused += end.code == REFUSED
            figures.finished += end.code != REFUSED
            grow()
            judge_refusal(job, out, end, old, new, f"moment {moment}")
            figures.resumed += 1
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--jobs", nargs="+", default=["e", "c", "s", "g", "t", "a"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--disk", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for title, made in jobs(root).items():
            if not title.startswith(tuple(options.jobs)):
                continue
            begun, place = time.perf_counter(), root / "runs"
            job = made()
            try:
                test = full if options.disk else killed
                f = test(job, place, options.moments, options.seed)
                line = f"{f.killed} | {f.refused} | {f.finished} | {f.resumed} | all the same"
            except AssertionError as error:
                line = f"- | - | - | - | {str(error)[:2000]}"
            shutil.rmtree(place)
            print(f"| {title} | {line} | {time.perf_counter() - begun:.0f} |", flush=True)


if __name__ == "__main__":
    main()
