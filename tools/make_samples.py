"""Makes the sample data of the package: ``python tools/make_samples.py layouts``."""

from __future__ import annotations

import sys

from napari_cosynth.layouts.patterns import PATTERNS, layout_path
from napari_cosynth.layouts.points_csv import write_layout


def make_layouts() -> None:
    """The bundled CSV files, from their generators."""
    for name, (_, _, draw) in PATTERNS.items():
        write_layout(draw(), layout_path(name))


if __name__ == "__main__":
    if sys.argv[1:] != ["layouts"]:
        sys.exit("usage: make_samples.py layouts")
    make_layouts()
