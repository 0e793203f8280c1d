"""Data sets by a plan: throughput of 1 and 2 processes, and what the engine costs.

    python benchmarks/generating.py                 # made to take under 4 minutes on two idle cores
    python benchmarks/generating.py --ways alone process "1 worker"     # CPU seconds only
    python benchmarks/generating.py --idle          # what dask with one worker takes while it waits

Ways, of the same layouts and seeds on the bundled model, each after a warm-up that reads the weights:

alone       a loop over ``synthesize``, which writes nothing
process     ``cosynth generate``
1 worker    ``cosynth generate`` on dask with one worker process
2 workers   ``cosynth generate --workers 2``

Wall time runs from the first job to the last sample. CPU seconds are those of this process and its
workers until the last shard is written. Medians are printed as a Markdown table. Memory and time of many
samples: benchmarks/many_samples.py.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import torch

from napari_cosynth import synthesize
from napari_cosynth.generate.cluster import local
from napari_cosynth.generate.draw import Job
from napari_cosynth.generate.plan import FolderLayouts, Plan
from napari_cosynth.generate.run import Engine, generate, in_this_process
from napari_cosynth.generate.sample import Settings
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.layouts.sources.points_csv import read_layout, write_layout
from napari_cosynth.model.checkpoint import CheckpointConfig, build, read_config, save
from napari_cosynth.model.text import vocabulary
from napari_cosynth.model.unet import preset
from napari_cosynth.types import ClassTable, Layout, Request

WAYS: dict[str, Callable[[], AbstractContextManager[Engine]]] = {
    "alone": lambda: nullcontext(in_this_process),
    "process": lambda: nullcontext(in_this_process),
    "1 worker": lambda: local(1),
    "2 workers": lambda: local(2),
}


@dataclass(frozen=True)
class Taken:
    """Seconds of a sample."""

    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=8, help="of each timed run, an even number")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--size", type=int, default=128, help="pixels a side")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--idle", action="store_true", help="a worker that waits for 10 seconds")
    options = parser.parse_args()
    if options.idle:
        with local(1):
            before = cpu_seconds()
            time.sleep(10)
            print(f"dask, 1 worker, idle: {cpu_seconds() - before:.2f} s of CPU in 10 s")
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_layouts(folder / "layouts", options.size, "default")
        plan = Plan(
            name="benchmark",
            samples=options.samples,
            shape=(options.size, options.size),
            layouts=(FolderLayouts("folder", "layouts"),),
            steps=options.steps,
        )
        taken: dict[str, list[Taken]] = {}
        for name in options.ways:  # one after the other: an idle cluster takes CPU seconds too
            with WAYS[name]() as engine:
                run(name, engine, replace(plan, samples=4), folder, folder / f"{name} first")
                taken[name] = [
                    run(name, engine, plan, folder, folder / f"{name} {repetition}")
                    for repetition in range(options.repetitions)
                ]
    report(plan, taken)


def run(name: str, engine: Engine, plan: Plan, folder: Path, out: Path) -> Taken:
    if name == "alone":
        cpu, begun = cpu_seconds(), time.perf_counter()
        alone(plan, folder / "layouts")
        return Taken(
            (time.perf_counter() - begun) / plan.samples, (cpu_seconds() - cpu) / plan.samples
        )
    clock = Clock(engine)
    generate(plan, out, folder, engine=clock, quiet=True)
    return Taken(
        (clock.last - clock.begun) / plan.samples, (cpu_seconds() - clock.cpu) / plan.samples
    )


def alone(plan: Plan, layouts: Path) -> None:
    config = read_config(plan.checkpoint)
    files = sorted(layouts.glob("*.csv"))
    for seed in range(plan.samples):
        layout = read_layout(files[seed % len(files)], plan.shape, config.mpp, config.classes)
        request = Request(layout, prompt_for(layout), steps=plan.steps, seeds=(seed,))
        for _ in synthesize(request):
            pass


def cpu_seconds() -> float:
    """Of this process and those it started."""
    this = psutil.Process()
    return sum(sum(p.cpu_times()[:2]) for p in [this, *this.children(recursive=True)])


def report(plan: Plan, taken: dict[str, list[Taken]]) -> None:
    first = next(iter(taken))
    print(f"{plan.shape[0]} x {plan.shape[1]} pixels, {plan.steps} steps of {plan.sampler}\n")
    print(f"| way | wall, s a sample | samples a minute | CPU, s a sample | CPU beyond {first} |")
    print("| --- | --- | --- | --- | --- |")
    base = statistics.median(t.cpu for t in taken[first])
    for name, found in taken.items():
        walls, cpus = sorted(t.wall for t in found), sorted(t.cpu for t in found)
        wall, cpu = statistics.median(walls), statistics.median(cpus)
        print(
            f"| {name} | {wall:.2f} ({walls[0]:.2f} to {walls[-1]:.2f}) | {60 / wall:.1f} | "
            f"{cpu:.3f} ({cpus[0]:.3f} to {cpus[-1]:.3f}) | {(cpu - base) * 1e3:+.0f} ms, "
            f"{cpu / base - 1:+.1%} |"
        )


class Clock:
    """An engine that notes when its first job was asked for and its last sample came."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.begun, self.last, self.cpu = engine, 0.0, 0.0, 0.0

    def __call__(self, jobs: Iterable[Job], settings: Settings) -> Iterator[tuple[int, bytes]]:
        self.begun, self.cpu = time.perf_counter(), cpu_seconds()
        for item in self.engine(jobs, settings):
            self.last = time.perf_counter()
            yield item


def write_layouts(folder: Path, size: int, checkpoint: str) -> None:
    """Twenty layouts of one nucleus in 16 x 16 pixels."""
    folder.mkdir()
    config = read_config(checkpoint)
    for number in range(20):
        rng = np.random.default_rng(number)
        corners = np.stack(np.mgrid[0 : size - 15 : 16, 0 : size - 15 : 16], -1).reshape(-1, 2)
        centroids = (corners + rng.uniform(2, 13, corners.shape)).astype(np.float32)
        ids = rng.integers(1, len(config.classes), len(centroids)).astype(np.uint8)
        layout = Layout(centroids, ids, (size, size), config.mpp, config.classes)
        write_layout(layout, folder / f"{number:02d}.csv")


def tiny(folder: Path) -> Path:
    classes = ClassTable.of("inflammatory", "epithelial", "spindle-shaped")
    config = CheckpointConfig(
        network=preset(
            "compact",
            classes=4,
            widths=(8, 16),
            blocks=(1, 1),
            cross_attention=(1,),
            text_width=16,
            point_channels=8,
            point_wide=1,
            point_growth=4,
        ),
        text={
            "kind": "compact",
            "vocabulary": list(vocabulary(classes.names[1:], ["colon"])),
            "width": 16,
            "heads": 2,
        },
        class_names=classes.names,
        class_colors=tuple(tuple(int(v) for v in c) for c in classes.colors),
        mpp=0.5,
    )
    return save(build(config), config, folder, "# tiny\n")


if __name__ == "__main__":
    main()
