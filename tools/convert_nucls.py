"""NuCLS patches with pickled labels -> folders of PNG that the package reads.

    python tools/convert_nucls.py NUCLS/train OUT

The labels are pickles, which run code when they are opened: only open files that you trust. The package
itself never does. ``images/NAME.png`` is copied; ``labels/NAME.npy``, a pickled dictionary of
``inst_map`` and ``type_map`` (H, W), becomes ``instances/NAME.png`` and ``labels/NAME.png``, which
``cosynth info OUT --from folder --class-names non-tumour tumour`` reads. Classes are the
ids of ``type_map`` as they are.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder with images/ and labels/")
    parser.add_argument("out", type=Path, help="folder to write; must not exist")
    options = parser.parse_args()
    for kind in ("images", "instances", "labels"):
        (options.out / kind).mkdir(parents=True)
    count = 0
    for image in sorted((options.source / "images").glob("*.png")):
        label = options.source / "labels" / f"{image.stem}.npy"
        maps = np.load(label, allow_pickle=True).item()
        instances = np.asarray(maps["inst_map"]).astype(np.uint16)
        types = np.asarray(maps["type_map"]).astype(np.uint8)
        instances[types == 0] = 0
        types[instances == 0] = 0
        shutil.copyfile(image, options.out / "images" / image.name)
        iio.imwrite(options.out / "instances" / image.name, instances)
        iio.imwrite(options.out / "labels" / image.name, types)
        count += 1
    print(f"{options.out}: {count} patches")


if __name__ == "__main__":
    main()
