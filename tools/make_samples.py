"""Makes the sample data of the package.

``python tools/make_samples.py layouts``  the CSV files, from their generators
``python tools/make_samples.py pair``     the finished pair, by the bundled model (once it is trained)
``python tools/make_samples.py project --slide CMU-1-Small-Region.svs``  the finished project: a part
of that slide (Aperio's, CC0), and two results of more inflammatory cells in a region of its stroma
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from napari_cosynth.geometry.box import Box
from napari_cosynth.layouts.drawn.patterns import PATTERNS, SAMPLES, bundled_layouts, layout_path
from napari_cosynth.layouts.sources.points_csv import write_layout

LARGEST_PAIR = 1_000_000
"""Bytes that the finished pair may add to the package."""
PROJECT, PROJECT_SLIDE = SAMPLES / "project", SAMPLES / "project.tif"
LARGEST_PROJECT = 300_000
STROMA = Box(2150, 860, 2150 + 352, 860 + 352)
"""The part of the slide, in its pixels."""
REGION = Box(96, 96, 96 + 160, 96 + 160)
"""In pixels of that part."""


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


def make_project(slide: Path, seeds: tuple[int, ...]) -> None:
    import numpy as np
    import tifffile

    from napari_cosynth.export.folder import write_folder
    from napari_cosynth.geometry.prompt import prompt_for
    from napari_cosynth.layouts.drawn.structures import Spacing, disc, filled
    from napari_cosynth.layouts.sources.detect import detect_nuclei
    from napari_cosynth.slides.slide import open_slide
    from napari_cosynth.synthesis.inpaint import inpaint
    from napari_cosynth.synthesis.place import Place
    from napari_cosynth.types import Layout, Request, Synthesis
    from napari_cosynth.types.classes import BUNDLED

    opened = open_slide(slide)
    assert opened.mpp is not None
    resolution = (1e4 / opened.mpp, 1e4 / opened.mpp)
    tifffile.imwrite(
        PROJECT_SLIDE,
        np.asarray(opened.levels[0])[STROMA.slices],
        photometric="rgb",
        compression="jpeg",
        compressionargs={"level": 88},
        resolution=resolution,
        resolutionunit="CENTIMETER",
    )
    part = open_slide(PROJECT_SLIDE)
    assert part.mpp is not None
    image = np.ascontiguousarray(part.levels[0])
    found = detect_nuclei(image, part.mpp)
    middle = ((REGION.y0 + REGION.y1) / 2, (REGION.x0 + REGION.x1) / 2)
    inside, corners = disc(middle, (REGION.y0 + 20, middle[1]))
    added = filled(inside, corners, Spacing(13, 9), image.shape[:2], found, 1)
    ids = [BUNDLED.index("unspecified")] * len(found) + [BUNDLED.index("inflammatory")] * len(added)
    points = np.concatenate([found, added]).astype(np.float32)
    after = Layout(points, np.array(ids, np.uint8), image.shape[:2], part.mpp, BUNDLED)
    there = slice(len(found))
    before = dataclasses.replace(after, centroids=points[there], class_ids=after.class_ids[there])
    place = Place(image, REGION, (0, 0), PROJECT_SLIDE.name, before)
    samples = []
    for seed in seeds:
        request = Request(after, prompt_for(after, ""), seeds=(seed,))  # the model knows no skin
        samples += [item for item in inpaint(request, place) if isinstance(item, Synthesis)]
    folder = write_folder(samples, PROJECT, overwrite=True)
    files = [PROJECT_SLIDE, *(file for file in folder.rglob("*") if file.is_file())]
    size = sum(file.stat().st_size for file in files)
    print(f"{folder}: {size / 1000:.0f} kB, {len(found)} nuclei found, {len(added)} added")
    if size > LARGEST_PROJECT:
        raise SystemExit(f"too large for the package: {size} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["layouts", "pair", "project"])
    parser.add_argument("--layout", choices=list(PATTERNS), default="gland")
    parser.add_argument("--slide", type=Path, help="CMU-1-Small-Region.svs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    chosen = parser.parse_args()
    if chosen.what == "layouts":
        make_layouts()
    elif chosen.what == "project":
        if chosen.slide is None:
            parser.error("project needs --slide")
        make_project(chosen.slide, (1, 2))
    else:
        make_pair(chosen.layout, chosen.seed, chosen.steps)
