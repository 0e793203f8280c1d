"""Time and memory to open a sparse pyramid, add it to a viewer and read a window; medians of runs.

python benchmarks/opening_slides.py [--side 100000 --runs 5]

Each run is a process of its own that has imported napari; memory is what the whole process took.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

RUN = """
import json, resource, sys, time
import numpy as np
from napari.components import ViewerModel
from napari_cosynth.slides.pyramid import read_region
from napari_cosynth.widget.files.readers import slide_reader
path = sys.argv[1]
memory = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, start = memory(), time.perf_counter()
viewer = ViewerModel()
tuples = slide_reader(path)(path)
opened = time.perf_counter()
layer = viewer._add_layer_from_data(*tuples[0])[0]
added = time.perf_counter()
middle = layer.data[0].shape[0] // 2
read_region(layer.data, (middle, middle), 2.0, (512, 512))
read = time.perf_counter()
print(json.dumps({"open": opened - start, "add": added - opened, "window": read - added,
                  "before": before, "after": memory()}))
"""


def main() -> None:
    from slides import sparse_pyramid

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--side", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = sparse_pyramid(Path(folder) / "slide.tif", options.side)
        runs = []
        for _ in range(options.runs):
            done = subprocess.run(
                [sys.executable, "-c", RUN, str(path)], check=True, capture_output=True, text=True
            )
            runs.append(json.loads(done.stdout))
    median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    print(f"{options.side} x {options.side} pixels, RGB, medians of {options.runs} processes")
    print(f"open {median['open']:.2f} s, add to the viewer {median['add']:.2f} s")
    print(f"a window of 512 x 512 at half the scan's resolution {median['window']:.2f} s")
    print(
        f"memory: napari alone {median['before']:.0f} MiB, with the slide {median['after']:.0f} MiB"
    )


if __name__ == "__main__":
    main()
