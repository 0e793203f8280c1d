"""The seam around a region of a real image that was sampled anew, and what makes it smaller.

    python benchmarks/inpaint.py [--data DATA] [--regions 4] [--side 96] [--steps 20] [--fresh 0]
                                 [--sets slide tiles] [--variants "as it is" ...] [--picture OUT.png]

Regions lie in the real slide (points at the peaks of haematoxylin) and in held-out CoNSeP tiles (points
as annotated). Figures are medians over the regions; each is a ratio to the same place in the real image,
where 1 is no seam:

border    gradient across the region's border, against that just inside and just outside
strip     difference of the mean colours of 8 pixels inside and 8 outside, per 16 pixels of border
inside    gradient within the region: below 1 the sample is smoother than what it replaces

Variants: ``held only`` clamps the surroundings and no more; ``begun in colour`` begins with the
surroundings' colours spread into the region; ``passes`` takes every step twice, with the way back in
between (RePaint); ``as it is`` does both and joins the region to the image by its gradients, as the other
variants do; ``not joined`` leaves that out; ``reinhard``, ``macenko`` and ``vahadane`` bring the image to
the model's colours before that and the region back after. ``--fresh`` chooses other regions: settings
were chosen on those of 0.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage as ndi
from skimage.color import rgb2hed
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.io import imsave

import napari_cosynth.synthesis.inpaint as joining
from napari_cosynth import registry
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.diffusion import blend
from napari_cosynth.diffusion.schedule import T_MAX
from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.layouts.drawn.patterns import SAMPLES
from napari_cosynth.slides.slide import open_slide
from napari_cosynth.synthesis.inpaint import inpaint
from napari_cosynth.synthesis.place import Place
from napari_cosynth.synthesis.preparation import open_checkpoint
from napari_cosynth.types import Layout, Request, Synthesis
from realism import held_out

Image = npt.NDArray[np.uint8]
STRIP, ALONG = 8, 16
FEWEST = 12
"""Nuclei in a region of the slide; with fewer there is little to sample."""


@dataclass(frozen=True)
class Case:
    """A region of a real image and the points in and around it."""

    image: Image
    region: Box
    layout: Layout
    tissue: str


def slide_cases(path: Path, count: int, side: int, fresh: int) -> Iterator[Case]:
    """Regions of a slide where there is tissue, a nucleus at each peak of smoothed haematoxylin."""
    level = np.asarray(open_slide(path).levels[0])
    classes = open_checkpoint("default", torch.device("cpu")).classes
    rng, size = np.random.default_rng(3 + fresh), side + 192
    while count:
        y, x = (int(rng.integers(0, n - size)) for n in level.shape[:2])
        image = np.ascontiguousarray(level[y : y + size, x : x + size])
        stain = ndi.gaussian_filter(rgb2hed(image)[..., 0], 2)
        points = peak_local_max(stain, min_distance=5, threshold_abs=threshold_otsu(stain))
        low, high = 96, 96 + side
        if image.mean() > 200 or ((points >= low) & (points < high)).all(1).sum() < FEWEST:
            continue
        ids = np.full(len(points), classes.index("unspecified"))
        layout = Layout(points, ids, image.shape[:2], 0.5, classes)
        yield Case(image, Box(96, 96, 96 + side, 96 + side), layout, "")
        count -= 1


def tile_cases(data: Path, count: int, side: int, fresh: int) -> Iterator[Case]:
    """Regions in the middle of patches of held-out tiles, their nuclei where they are."""
    for record in held_out("default", data, ["consep"], count, side + 192, 1 + fresh):
        yield Case(record.image, Box(96, 96, 96 + side, 96 + side), record.layout, record.tissue)


# -- variants


def last(events: Iterator[object]) -> Synthesis:
    *_, sample = events
    assert isinstance(sample, Synthesis)
    return sample


def request_for(case: Case, steps: int, seed: int) -> Request:
    return Request(
        case.layout,
        prompt_for(case.layout, case.tissue),
        steps=steps,
        seeds=(seed,),
        tissue=case.tissue,
    )


def changed(begin: float, passes: int) -> Callable[[Case, int, int], Image]:
    """Into the image with other settings of :mod:`napari_cosynth.diffusion.blend`."""

    def variant(case: Case, steps: int, seed: int) -> Image:
        usual, (blend.BEGIN, blend.PASSES) = (blend.BEGIN, blend.PASSES), (begin, passes)
        try:
            sample = last(inpaint(request_for(case, steps, seed), Place(case.image, case.region)))
        finally:
            blend.BEGIN, blend.PASSES = usual
        assert sample.patch is not None
        return sample.patch

    return variant


as_it_is = changed(blend.BEGIN, blend.PASSES)


def not_joined(case: Case, steps: int, seed: int) -> Image:
    """What the network made, put into the image as it is."""
    usual, joining.seamless = joining.seamless, lambda made, real, box: made[box.slices]
    try:
        return as_it_is(case, steps, seed)
    finally:
        joining.seamless = usual


def normalised(name: str) -> Callable[[Case, int, int], Image]:
    """The surroundings in the model's own colours, and the region back in the surroundings'."""
    make = registry.resolve("normaliser", name)

    def variant(case: Case, steps: int, seed: int) -> Image:
        model = make(StackDataset(SAMPLES / "pair")[0].image)
        back = make(case.image)
        inside = np.asarray(model(case.image))
        made = as_it_is(replace(case, image=inside), steps, seed)
        whole = inside.copy()
        whole[case.region.slices] = made
        # The stains of region and surroundings together, which are those of ``inside``.
        return np.asarray(back(whole))[case.region.slices]

    return variant


VARIANTS: dict[str, Callable[[Case, int, int], Image]] = {
    "as it is": as_it_is,
    "not joined": not_joined,
    "held only": changed(T_MAX, 1),
    "begun in colour": changed(blend.BEGIN, 1),
    "passes": changed(T_MAX, 2),
    "reinhard": normalised("reinhard"),
    "macenko": normalised("macenko"),
    "vahadane": normalised("vahadane"),
    "uncut": lambda case, steps, seed: case.image[case.region.slices],
}


# -- figures


def measures(image: Image, box: Box) -> dict[str, float]:
    """Border and strip as in the module's text, not yet against the real image."""
    border, near, strip = [], [], []
    for turns in range(4):
        turned = np.rot90(image.astype(np.float64), turns)
        inside = np.zeros(image.shape[:2], bool)
        inside[box.slices] = True
        ys, xs = np.nonzero(np.rot90(inside, turns))
        y, columns = ys.min(), slice(xs.min(), xs.max() + 1)
        step = np.abs(np.diff(turned[:, columns], axis=0)).mean(-1)  # [i]: from i to i + 1
        border.append(step[y - 1].mean())
        near.append(np.r_[step[y - 7 : y - 1], step[y : y + 6]].mean())
        pieces = [
            part[:, : part.shape[1] // ALONG * ALONG].reshape(STRIP, -1, ALONG, 3).mean((0, 2))
            for part in (turned[y - STRIP : y, columns], turned[y : y + STRIP, columns])
        ]
        strip.append(np.abs(pieces[0] - pieces[1]).mean())
    region = image[box.slices].astype(np.float64)
    inner = np.mean([np.abs(np.diff(region, axis=a)).mean() for a in (0, 1)])
    return {
        "border": float(np.mean(border) / np.mean(near)),
        "strip": float(np.mean(strip)),
        "inside": float(inner),
    }


def composite(case: Case, patch: Image) -> Image:
    out = case.image.copy()
    out[case.region.slices] = patch
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("COSYNTH_DATA"))
    parser.add_argument("--regions", type=int, default=4)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--fresh", type=int, default=0, help="seed of the regions")
    parser.add_argument("--sets", nargs="+", default=["slide", "tiles"], choices=["slide", "tiles"])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--picture", type=Path, default=None)
    options = parser.parse_args()
    slide = options.data / "slides" / "CMU-1-Small-Region.svs"
    size = options.regions, options.side, options.fresh
    sets: dict[str, list[Case]] = {}
    if "slide" in options.sets:
        sets["slide"] = list(slide_cases(slide, *size))
    if "tiles" in options.sets:
        sets["held-out tiles"] = list(tile_cases(options.data, *size))
    for name in options.variants:
        for of, cases in sets.items():
            ratios: dict[str, list[float]] = {}
            rows, begun = [], time.perf_counter()
            for seed, case in enumerate(cases):
                made = composite(case, VARIANTS[name](case, options.steps, seed))
                real, new = measures(case.image, case.region), measures(made, case.region)
                for key in real:
                    ratios.setdefault(key, []).append(new[key] / real[key])
                rows.append(np.concatenate([case.image[:288, :288], made[:288, :288]], 1))
            seconds = (time.perf_counter() - begun) / len(cases)
            figures = {k: round(statistics.median(v), 2) for k, v in ratios.items()}
            print(
                json.dumps({"variant": name, "of": of, **figures, "s": round(seconds, 1)}),
                flush=True,
            )
            if options.picture is not None:
                stem = f"{options.picture.stem}-{name}-{of}".replace(" ", "-")
                imsave(options.picture.with_stem(stem), np.concatenate(rows), check_contrast=False)


if __name__ == "__main__":
    main()
