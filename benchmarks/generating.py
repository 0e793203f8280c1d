"""Data sets by a plan: throughput of 1 and 2 processes, the engine's overhead, memory.

    python benchmarks/generating.py                       # one sample's time decides: see --steps
    python benchmarks/generating.py --memory 10000 --tiny # peak memory while so many are made

Throughput is timed from the first sample to the last one, so that starting processes and reading weights
are not in it; the overhead is dask with one worker against no dask, the median of repetitions in turn.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np

from napari_cosynth.generate.cluster import local
from napari_cosynth.generate.draw import Job
from napari_cosynth.generate.plan import FolderLayouts, Plan
from napari_cosynth.generate.run import Engine, generate, in_this_process
from napari_cosynth.generate.sample import Settings
from napari_cosynth.layouts.points_csv import write_layout
from napari_cosynth.model.checkpoint import CheckpointConfig, build, read_config, save
from napari_cosynth.model.text import vocabulary
from napari_cosynth.model.unet import preset
from napari_cosynth.types import ClassTable, Layout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=12, help="of each timed run")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--size", type=int, default=128, help="pixels a side")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--tiny", action="store_true", help="a network of a few thousand weights")
    parser.add_argument("--memory", type=int, default=0, help="samples; measures memory only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        checkpoint = str(tiny(folder / "tiny")) if options.tiny else "default"
        write_layouts(folder / "layouts", options.size, checkpoint)
        plan = Plan(
            name="benchmark",
            samples=options.memory or options.samples,
            shape=(options.size, options.size),
            layouts=(FolderLayouts("folder", "layouts"),),
            checkpoint=checkpoint,
            steps=options.steps,
        )
        if options.memory:
            memory(plan, folder)
        else:
            throughput(plan, folder, options.repetitions)


def memory(plan: Plan, folder: Path) -> None:
    begun = time.perf_counter()
    manifest = generate(plan, folder / "out", folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"{manifest.counts['kept']} samples of {plan.shape[0]} x {plan.shape[1]} pixels in "
        f"{time.perf_counter() - begun:.0f} s: peak memory {peak / 2**30:.2f} GiB"
    )


def throughput(plan: Plan, folder: Path, repetitions: int) -> None:
    engines: dict[str, AbstractContextManager[Engine]] = {
        "no dask": nullcontext(in_this_process),
        "dask, 1 worker": local(1),
        "dask, 2 workers": local(2),
    }
    times: dict[str, list[float]] = {name: [] for name in engines}
    opened = {name: engine.__enter__() for name, engine in engines.items()}
    for repetition in range(-1, repetitions):
        for name, engine in opened.items():
            clock = Clock(engine)
            generate(plan, folder / f"{name} {repetition}", folder, engine=clock, quiet=True)
            if repetition >= 0:  # the first reads the weights
                times[name].append((clock.last - clock.first) / (plan.samples - 1))
    for engine in engines.values():
        engine.__exit__(None, None, None)
    base = statistics.median(times["no dask"])
    for name, found in times.items():
        median = statistics.median(found)
        print(
            f"{name:16} {median * 1e3:8.1f} ms a sample (from {min(found) * 1e3:.1f} to "
            f"{max(found) * 1e3:.1f}), {base / median:.3f} of no dask's rate"
        )


class Clock:
    """An engine that notes when its first and its last sample came."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.first, self.last = engine, 0.0, 0.0

    def __call__(self, jobs: Iterable[Job], settings: Settings) -> Iterator[tuple[int, bytes]]:
        for item in self.engine(jobs, settings):
            self.last = time.perf_counter()
            self.first = self.first or self.last
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
