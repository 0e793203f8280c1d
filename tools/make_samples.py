"""Makes the sample data of the package.

``python tools/make_samples.py layouts``  the CSV files, from their generators
``python tools/make_samples.py pair``     the finished pair, by the bundled model (once it is trained)
"""

from __future__ import annotations

import argparse

from napari_cosynth.layouts.drawn.patterns import PATTERNS, SAMPLES, bundled_layouts, layout_path
from napari_cosynth.layouts.sources.points_csv import write_layout

LARGEST_PAIR = 1_000_000
"""Bytes that the finished pair may add to the package."""


def make_layouts() -> None:
    for name, (_, _, draw) in PATTERNS.items():
        write_layout(draw(), layout_path(name))


def make_pair(layout: str, seed: int, steps: int) -> None:
    from napari_cosynth import synthesize
    from napari_cosynth.export.stack import write_stack
    from napari_cosynth.geometry.prompt import prompt_for
    from napari_cosynth.types import Request, Synthesis

    bundled = bundled_layouts()[layout]
    prompt = prompt_for(bundled.layout, bundled.tissue)
    request = Request(bundled.layout, prompt, steps=steps, seeds=(seed,), tissue=bundled.tissue)
    (sample,) = [item for item in synthesize(request) if isinstance(item, Synthesis)]
    folder = write_stack([sample], SAMPLES / "pair", overwrite=True)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder}: {size / 1000:.0f} kB, {sample.report.to_json()}")
    if size > LARGEST_PAIR:
        raise SystemExit(f"too large for the package: {size} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["layouts", "pair"])
    parser.add_argument("--layout", choices=list(PATTERNS), default="gland")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    chosen = parser.parse_args()
    if chosen.what == "layouts":
        make_layouts()
    else:
        make_pair(chosen.layout, chosen.seed, chosen.steps)
