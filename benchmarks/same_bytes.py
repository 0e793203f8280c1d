"""One request under other threads, instructions and precisions: what of the sample differs.

    python benchmarks/same_bytes.py [--sampler few] [--size 128] [--seeds 2]

Each row is a process of its own. AVX2 is what ``ATEN_CPU_CAPABILITY`` and ``ONEDNN_MAX_CPU_ISA`` hold
torch and oneDNN to, as on a processor that has no more; ``float32`` is what such a processor computes
in. Differences are to the first row, and to it in another process, which tells what chance alone does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

MAKE = """
import sys
import numpy as np, torch
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.layouts.drawn.patterns import bundled_layouts
from napari_cosynth.model.checkpoint import load
from napari_cosynth.synthesis import preparation
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.types import Layout, Request, Synthesis

out, threads, precision, sampler, size, seeds = sys.argv[1:]
torch.set_num_threads(int(threads))
if precision != "auto":
    preparation.faster_in_bf16 = lambda device: precision == "bfloat16"
side = int(size)
whole = bundled_layouts()["gland"].layout
inside = (whole.centroids < side - 1).all(1)
layout = Layout(
    whole.centroids[inside], whole.class_ids[inside], (side, side), whole.mpp, whole.classes
)
steps = {"steps": 10} if sampler != "few" else {"steps": len(load("default").config.nodes)}
request = Request(
    layout, prompt_for(layout, "colon"), "default", sampler=sampler, seeds=tuple(range(int(seeds))),
    **steps,
)
arrays = {}
for event in synthesize(request):
    if isinstance(event, Synthesis):
        for name in ("image", "labels", "instances", "distance"):
            arrays[f"{event.seed}/{name}"] = getattr(event.record, name)
np.savez(out, **arrays)
"""
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2"}
WAYS: dict[str, tuple[int, str, dict[str, str]]] = {
    "as it is, 1 thread": (1, "auto", {}),
    "again": (1, "auto", {}),
    "2 threads": (2, "auto", {}),
    "float32, 1 thread": (1, "float32", {}),
    "float32, 2 threads": (2, "float32", {}),
    "float32, AVX2": (1, "float32", AVX2),
    "bfloat16, AVX2": (1, "bfloat16", AVX2),
}
"""Name -> (threads, precision, environment)."""


def made(way: str, options: argparse.Namespace, folder: Path) -> dict[str, np.ndarray]:
    threads, precision, environment = WAYS[way]
    out = folder / f"{len(list(folder.iterdir()))}.npz"
    arguments = [str(out), str(threads), precision, options.sampler, options.size, options.seeds]
    subprocess.run(
        [sys.executable, "-c", MAKE, *map(str, arguments)],
        env={**os.environ, **environment, "OMP_NUM_THREADS": str(threads)},
        check=True,
    )
    with np.load(out) as stored:
        return {name: stored[name] for name in stored.files}


def row(way: str, first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> str:
    def of(kind: str) -> tuple[np.ndarray, np.ndarray]:
        names = [n for n in first if n.endswith(f"/{kind}")]
        return np.stack([first[n] for n in names]), np.stack([second[n] for n in names])

    if all(np.array_equal(first[name], second[name]) for name in first):
        return f"| {way} | the same bytes | – | – | – |"
    a, b = of("image")
    apart = np.abs(a.astype(int) - b).max(-1)
    labels, other = of("labels")
    instances, others = of("instances")
    return (
        f"| {way} | {(apart > 0).mean():.1%} of pixels, mean {np.abs(a.astype(int) - b).mean():.2f}, "
        f"99 % within {np.percentile(apart, 99):.0f}, all within {apart.max()} "
        f"| {(labels != other).mean():.3%} | {(instances != others).mean():.3%} "
        f"| {np.abs(np.subtract(*of('distance'))).max():.2g} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sampler", default="few")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--to", default="as it is, 1 thread", choices=list(WAYS))
    options = parser.parse_args()
    print(f"{options.sampler}, {options.seeds} samples of {options.size} x {options.size}")
    print(f"| to *{options.to}* | image, grey levels | labels | instances | distance, at most |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        first = made(options.to, options, Path(scratch))
        for way in options.ways:
            if way != options.to:
                print(row(way, first, made(way, options, Path(scratch))), flush=True)


if __name__ == "__main__":
    main()
