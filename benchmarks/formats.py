"""Peak memory and time of converting many patches: python benchmarks/formats.py [PATCHES ...]

Patches of CoNIC's shape with 40 nuclei each are converted by ``cosynth convert`` in a process of its own,
whose peak (VmHWM of /proc, so Linux only) is printed in MiB beside what the patches would fill.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SCRIPT = """
import sys
from pathlib import Path
from napari_cosynth.cli import main
code = main(sys.argv[1:])
print("peak", Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
sys.exit(code)
"""


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
    for count in map(int, sys.argv[1:] or ("100", "1000")):
        for kind in ("stack", "hovernet", "coco"):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                (folder / "conic").mkdir()
                make(folder / "conic", count)
                command = ["convert", str(folder / "conic"), str(folder / "out"), "--to", kind]
                begun = time.perf_counter()
                done = subprocess.run(
                    [sys.executable, "-c", SCRIPT, *command],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                peak = int(done.stdout.split("peak")[1]) / 1024
                seconds = time.perf_counter() - begun
                filled = count * 256 * 256 * (3 + 1 + 4 + 4) / 2**20
                print(
                    f"{count} patches ({filled:.0f} MiB) to {kind}: peak {peak:.0f} MiB, "
                    f"{seconds / count * 1e3:.0f} ms a patch"
                )


if __name__ == "__main__":
    main()
