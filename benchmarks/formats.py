"""Peak memory and time of converting and reading many patches.

    python benchmarks/formats.py 100 1000              # patches of CoNIC's shape with 40 nuclei each
    python benchmarks/formats.py --source DATASET      # what there is, to every format
    python benchmarks/formats.py --read 10             # gigabytes of PanNuke's arrays, every patch
    python benchmarks/formats.py --coco 270            # one canvas with 270 x 270 COCO annotations

``cosynth convert`` runs in a process of its own, whose peak (VmHWM of /proc, so Linux only) is printed in
MiB beside what the patches would fill. PanNuke's arrays are sparse files: holes read as zeros and take no
room on the disk.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from napari_cosynth import registry

SCRIPT = """
import sys, time
from pathlib import Path
from napari_cosynth.cli import main
code = main(sys.argv[1:])
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print("peak", peak, time.process_time())
sys.exit(code)
"""

READ = """
import sys
from pathlib import Path
from napari_cosynth.datasets.formats import open_records
_, dataset = open_records(Path(sys.argv[1]))
read = sum(record.image.nbytes > 0 for record in dataset)
print(read, "peak", Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""
READ_COCO = """
import sys, time
from pathlib import Path
from napari_cosynth.datasets.formats import open_records
begun = time.process_time()
_, dataset = open_records(Path(sys.argv[1]), "coco")
opened = time.process_time() - begun
found = len(dataset[0].layout)
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(found, opened, time.process_time() - begun, peak)
"""
CELL = 15
"""Pixels a side for each nucleus of the COCO canvas."""
PANNUKE_PATCH = 256 * 256 * (3 + 6) * 8


def make(folder: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    y, x = np.indices((256, 256))
    label = np.zeros((256, 256, 2), np.uint16)
    for index, (cy, cx) in enumerate(rng.uniform(5, 250, (40, 2)), start=1):
        label[(y - cy) ** 2 + (x - cx) ** 2 < 36] = index, 1 + index % 6
    shape = (count, 256, 256)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (*shape, 3))
    labels = np.lib.format.open_memmap(folder / "labels.npy", "w+", np.uint16, (*shape, 2))
    for index in range(count):
        images[index] = rng.integers(0, 256, (256, 256, 3), np.uint8)
        labels[index] = label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("patches", type=int, nargs="*", help="to convert")
    parser.add_argument("--source", type=Path, help="a data set to convert instead")
    parser.add_argument("--to", nargs="+", default=[], choices=registry.names("exporter"))
    parser.add_argument("--read", type=float, default=0, help="GB of PanNuke's arrays to read")
    parser.add_argument(
        "--coco", type=int, default=0, help="annotations a side of a canvas to read"
    )
    options = parser.parse_args()
    if options.coco:
        coco(options.coco)
    elif options.read:
        read(options.read)
    elif options.source:
        for kind in options.to or registry.names("exporter"):
            print(f"{options.source} to {converted(options.source, kind)}", flush=True)
    else:
        for count in options.patches or (100, 1000):
            for kind in options.to or ("stack", "hovernet", "coco"):
                with tempfile.TemporaryDirectory() as name:
                    make(Path(name), count)
                    filled = count * 256 * 256 * (3 + 1 + 4 + 4) / 2**20
                    print(
                        f"{count} patches ({filled:.0f} MiB) to {converted(Path(name), kind)}",
                        flush=True,
                    )


def converted(source: Path, kind: str) -> str:
    """Converts in a process of its own: format, peak, time, and what it wrote."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "out"
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, "convert", str(source), str(out), "--to", kind],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds = time.perf_counter() - begun
        peak, cpu = done.stdout.split("peak")[1].split()
        written = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / 2**20
        return (
            f"{kind}: peak {int(peak) / 1024:.0f} MiB, {seconds:.0f} s ({float(cpu):.0f} s of CPU), "
            f"{written:.0f} MiB written"
        )


def read(gigabytes: float) -> None:
    """Every patch of so many GB of PanNuke's arrays, through its reader."""
    count = round(gigabytes * 1e9 / PANNUKE_PATCH)
    with tempfile.TemporaryDirectory() as name:
        for array, channels in (("images", 3), ("masks", 6)):
            with (Path(name) / f"{array}.npy").open("wb") as handle:
                shape = (count, 256, 256, channels)
                header = {"descr": "<f8", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(handle, header)
                handle.truncate(handle.tell() + 8 * int(np.prod(shape)))
        np.save(Path(name) / "types.npy", np.full(count, "Breast"))
        size = sum(p.stat().st_size for p in Path(name).iterdir())
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", READ, name], capture_output=True, text=True, check=True
        )
        found, _, peak = done.stdout.split()
        print(
            f"{found} of {count} patches, {size / 1e9:.1f} GB of arrays: peak {int(peak) / 1024:.0f} "
            f"MiB, {time.perf_counter() - begun:.0f} s"
        )


def coco(side: int) -> None:
    """One record with side x side outlines of twenty points on a grid."""
    rng = np.random.default_rng(0)
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    annotations = []
    for number in range(side * side):
        y, x = divmod(number, side)
        radius = rng.uniform(0.27 * CELL, 0.47 * CELL, (20, 1))
        outline = np.array([x + 0.5, y + 0.5]) * CELL + radius * circle
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": 1 + number % 3,
                "iscrowd": 0,
                "segmentation": [outline.round(1).ravel().tolist()],
            }
        )
    size = side * CELL
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": size, "width": size}],
        "annotations": annotations,
        "categories": [{"id": i, "name": f"class {i}"} for i in (1, 2, 3)],
    }
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "annotations.json").write_text(json.dumps(content))
        iio.imwrite(Path(name) / "a.png", np.full((size, size, 3), 200, np.uint8))
        done = subprocess.run(
            [sys.executable, "-c", READ_COCO, name], capture_output=True, text=True, check=True
        )
    found, opened, all_of_it, peak = done.stdout.split()
    print(
        f"{found} of {side * side} annotations on {size} x {size} pixels: {float(all_of_it):.1f} s of "
        f"CPU, {float(opened):.1f} s of it to open the file, peak {int(peak) / 1024:.0f} MiB"
    )


if __name__ == "__main__":
    main()
