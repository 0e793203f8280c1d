"""Large canvases by windows: time, peak memory and seams of the bundled model.

    python benchmarks/canvas.py speed [--sides 512 1024 2048] [--steps 4] [--repeats 3]
    python benchmarks/canvas.py seams [--side 1024] [--steps 10] [--picture OUT.png]
    python benchmarks/canvas.py grain [--side 1024] [--checkpoint default]
    python benchmarks/canvas.py separation [--sides 512 1024 2048 4096]

``speed`` samples each size in a process of its own, on one thread, and prints medians of that process'
own seconds (which other work on the machine does not lengthen) and its peak memory.
``seams`` compares gradients across the borders of the last step's windows with those elsewhere, for
windows as they are and for some that are worse on purpose; 1 is no seam. ``grain`` compares the mean
absolute Laplacian where the last pass' windows overlap, and estimates are averaged, with that elsewhere,
and with the same canvas sampled at once. ``separation`` times the watershed. Layouts are mosaics of the
bundled patterns.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage as ndi
from skimage.io import imsave

from napari_cosynth.geometry.frame import Frame
from napari_cosynth.geometry.instances import separate
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.geometry.raster import distance_map
from napari_cosynth.geometry.windows import Axis, Windows
from napari_cosynth.layouts.drawn import patterns
from napari_cosynth.synthesis.preparation import open_checkpoint
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.types import Layout, Progress, Request, Synthesis

WIDE = 8
"""Pixels on either side of a border whose means are compared."""


def mosaic(side: int, seed: int = 0) -> Layout:
    """Glands and nests of tumour in turn, each drawn anew, on a canvas of ``side`` pixels."""
    makers = (patterns.gland_ring, patterns.tumour_field)
    points, ids = [], []
    tiles = -(-side // 256)
    for row in range(tiles):
        for column in range(tiles):
            part = makers[(row + column) % 2](seed + row * tiles + column)
            moved = part.centroids + np.array([row, column], np.float32) * 256
            inside = (moved < side - 0.5).all(1)
            points.append(moved[inside])
            ids.append(part.class_ids[inside])
    return Layout(np.concatenate(points), np.concatenate(ids), (side, side), 0.5, part.classes)


def request_for(side: int, steps: int, seed: int = 7) -> Request:
    layout = mosaic(side)
    return Request(layout, prompt_for(layout, "colon"), steps=steps, seeds=(seed,), tissue="colon")


# -- speed


def one_run(side: int, steps: int) -> None:
    """One sample; prints its seconds, how many of them before and after the steps, and the memory."""
    torch.set_num_threads(1)
    request = request_for(side, steps)
    open_checkpoint("default", torch.device("cpu"))
    begun = time.process_time()
    stamps: dict[float, float] = {}
    for event in synthesize(request):
        if isinstance(event, Progress):
            stamps[event.step + event.part] = time.process_time() - begun
    whole = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    # The first step also makes the point features, once a request.
    each = (stamps[steps] - stamps[1]) / (steps - 1)
    print(json.dumps({"seconds": whole, "step": each, "peak GiB": peak}))


def speed(sides: list[int], steps: int, repeats: int) -> Iterator[dict[str, object]]:
    for side in sides:
        runs = []
        for _ in range(repeats):
            command = [sys.executable, __file__, "one", "--side", str(side), "--steps", str(steps)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            runs.append(json.loads(done.stdout.splitlines()[-1]))
        megapixels = side**2 / 1e6
        step = statistics.median(r["step"] for r in runs)
        yield {
            "side": side,
            "steps": steps,
            "runs": repeats,
            "seconds per megapixel and step": round(step / megapixels, 2),
            "seconds": round(statistics.median(r["seconds"] for r in runs), 1),
            "peak memory, GiB": round(max(r["peak GiB"] for r in runs), 2),
        }


# -- seams


@dataclass(frozen=True)
class Fixed(Windows):
    """Windows that stay where they are, for comparison."""

    def over(self, shape: tuple[int, int], step: int) -> tuple[Axis, Axis]:
        return super().over(shape, 0)


def seam(image: npt.NDArray[np.uint8], windows: Windows, steps: int) -> dict[str, float]:
    """Ratios of borders to elsewhere: of gradients from pixel to pixel, and between strips of WIDE."""
    grey = image.mean(-1)
    frame = Frame((grey.shape[0], grey.shape[1]), windows.grid)  # the windows cover its margin too
    ratios: dict[str, list[float]] = {"pixel": [], "strip": []}
    for axis, lines in enumerate(windows.over(frame.padded, steps - 1)):
        across = grey if axis == 0 else grey.T
        begin = (frame.box.y0, frame.box.x0)[axis]
        rims = {s - begin for start in lines.starts for s in (start, start + lines.side)}
        borders = np.array(sorted(s for s in rims if WIDE <= s <= len(across) - WIDE))
        pixel = np.abs(np.diff(across, axis=0)).mean(1)  # [i]: between i and i + 1
        sums = np.cumsum(np.pad(across, ((1, 0), (0, 0))), 0)
        means = (sums[WIDE:] - sums[:-WIDE]) / WIDE
        strip = np.abs(means[WIDE:] - means[:-WIDE]).mean(1)  # [i]: about i + WIDE
        for name, values, offset in (("pixel", pixel, 1), ("strip", strip, WIDE)):
            at = borders - offset
            elsewhere = np.ones(len(values), bool)
            elsewhere[(at[:, None] + np.arange(-WIDE, WIDE + 1)).clip(0, len(values) - 1)] = False
            ratios[name].append(float(values[at].mean() / values[elsewhere].mean()))
    return {name: round(float(np.mean(values)), 3) for name, values in ratios.items()}


def seams(side: int, steps: int, picture: Path | None) -> Iterator[dict[str, object]]:
    from napari_cosynth.synthesis import trajectories

    variants: dict[str, Windows] = {
        "as they are": Windows(),
        "fixed": Fixed(),
        "overlap 32": Windows(overlap=32),
        "overlap 128": Windows(overlap=128),
        "fixed, overlap 1 (tiles)": Fixed(overlap=1),
    }
    for name, windows in variants.items():
        trajectories.Windows = lambda grid, windows=windows: windows  # type: ignore[assignment,misc]
        begun = time.perf_counter()
        *_, sample = synthesize(request_for(side, steps))
        assert isinstance(sample, Synthesis)
        image = sample.record.image
        if picture is not None:
            imsave(
                picture.with_stem(f"{picture.stem}-{name.split(' (')[0].replace(' ', '-')}"), image
            )
        yield {
            "windows": name,
            **seam(image, windows, steps),
            "seconds": round(time.perf_counter() - begun, 1),
        }


# -- grain


def grain(side: int, checkpoint: str) -> Iterator[dict[str, object]]:
    """By windows and, where there is nothing to average, at once."""
    from napari_cosynth.synthesis import trajectories

    request = replace(request_for(side, 0), checkpoint=checkpoint)
    rough, limits = [], (trajectories.LARGEST_WHOLE, side)
    for limit in limits:
        trajectories.LARGEST_WHOLE = limit
        *_, sample = synthesize(request)
        assert isinstance(sample, Synthesis)
        rough.append(np.abs(ndi.laplace(sample.record.image.mean(-1))))
    windowed, whole = rough
    request = sample.request
    inside = _overlaps(Windows(), whole.shape, request.steps - 1)
    yield {
        "sampler": f"{request.sampler} {request.steps}",
        "grain in overlaps over elsewhere": _quotient(windowed[inside], windowed[~inside]),
        "the same places, sampled at once": _quotient(whole[inside], whole[~inside]),
        "overlaps, windows over at once": _quotient(windowed[inside], whole[inside]),
        "elsewhere, windows over at once": _quotient(windowed[~inside], whole[~inside]),
    }


def _quotient(above: npt.NDArray[np.float64], below: npt.NDArray[np.float64]) -> float:
    return round(float(above.mean() / below.mean()), 3)


def _overlaps(windows: Windows, shape: tuple[int, int], step: int) -> npt.NDArray[np.bool_]:
    """Where a canvas' pixels are seen by more than one window of a step."""
    frame = Frame(shape, windows.grid)
    counts = []
    for line in windows.over(frame.padded, step):
        seen = np.zeros(line.length, int)
        for start in line.starts:
            seen[start : start + line.side] += 1
        counts.append(seen)
    return (np.maximum.outer(*counts) > 1)[frame.box.slices]


# -- separation


def separation(sides: list[int]) -> Iterator[dict[str, object]]:
    """The watershed of discs around a mosaic's points: time and what it takes in memory at most."""
    for side in sides:
        layout = mosaic(side)
        instances = np.zeros(layout.shape, np.int32)
        rows, columns = np.mgrid[-5:6, -5:6]
        disc = rows**2 + columns**2 <= 25
        for index, (y, x) in enumerate(layout.centroids.astype(int), start=1):
            at_y, at_x = (y + rows[disc]).clip(0, side - 1), (x + columns[disc]).clip(0, side - 1)
            instances[at_y, at_x] = index
        distance = distance_map(instances)
        labels = (instances > 0).astype(np.uint8)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        begun = time.process_time()
        separate(labels, distance, layout)
        seconds = time.process_time() - begun
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        yield {
            "side": side,
            "seconds": round(seconds, 2),
            "seconds per megapixel": round(seconds / side**2 * 1e6, 2),
            "more memory at the peak, GiB": round(peak - before, 2),
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("speed", "seams", "grain", "separation", "one"))
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--picture", type=Path, default=None)
    options = parser.parse_args()
    if options.what == "one":
        one_run(options.side, options.steps)
        return
    results = {
        "speed": lambda: speed(options.sides, options.steps or 4, options.repeats),
        "seams": lambda: seams(options.side, options.steps or 10, options.picture),
        "grain": lambda: grain(options.side, options.checkpoint),
        "separation": lambda: separation(options.sides),
    }[options.what]()
    for result in results:
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
