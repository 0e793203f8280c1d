"""Generated layouts against held-out tiles: envelopes and scores of their summary functions, and speed.

python benchmarks/layouts.py quality --data DATA [--draws 19 --picture layouts.png]
python benchmarks/layouts.py speed [--repeats 5]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from napari_cosynth.cli.layouts.generated import Tiles, open_tiles
from napari_cosynth.layouts.gibbs.envelopes import FAMILIES, Score, score, summaries, usual_classes
from napari_cosynth.layouts.gibbs.model import LayoutModel, load_layout_model
from napari_cosynth.layouts.gibbs.statistics import close_pairs
from napari_cosynth.layouts.gibbs.tiles import Tile
from napari_cosynth.types import Layout

FEWEST = 5
"""Layouts that an envelope needs (:func:`napari_cosynth.layouts.gibbs.envelopes.score`)."""
JITTER = 4.0
"""Standard deviation in µm of perturbed layouts' displacements."""


def uniform(real: Layout, rng: np.random.Generator) -> Layout:
    """The same numbers of nuclei of each class, anywhere."""
    places = rng.uniform(-0.5, np.array(real.shape) - 0.5, (len(real), 2)).astype(np.float32)
    places = np.minimum(places, np.nextafter(np.array(real.shape, np.float32) - 0.5, 0))
    return Layout(places, real.class_ids, real.shape, real.mpp, real.classes)


def perturbed(tile: Layout, rng: np.random.Generator) -> Layout:
    """A real layout turned or mirrored, each nucleus displaced; those that leave come back in."""
    shape = np.array(tile.shape)
    points = tile.centroids + rng.normal(0, JITTER / tile.mpp, (len(tile), 2))
    points = np.abs(points + 0.5)
    points = np.minimum(points, 2 * shape - points) - 0.5
    if rng.random() < 0.5 and tile.shape[0] == tile.shape[1]:
        points = points[:, ::-1]
    flip = rng.random(2) < 0.5
    points = np.where(flip, shape - 1 - points, points).astype(np.float32)
    points = np.clip(points, -0.5, np.nextafter(shape.astype(np.float32) - 0.5, 0))
    return Layout(points, tile.class_ids, tile.shape, tile.mpp, tile.classes)


def interior(layout: Layout, border: float = 4.0) -> Layout:
    """Without the border where nuclei are cut."""
    pixels = round(border / layout.mpp)
    shape = (layout.shape[0] - 2 * pixels, layout.shape[1] - 2 * pixels)
    points = layout.centroids - pixels
    inside = ((points >= -0.5) & (points < np.array(shape) - 0.5)).all(1)
    return Layout(points[inside], layout.class_ids[inside], shape, layout.mpp, layout.classes)


def crowded(layout: Layout, model: LayoutModel) -> float:
    """Share of the nuclei with a neighbour nearer than the model's hard core."""
    tile = Tile.of(layout, 0)
    core = np.array(model.hard_core)
    rows, columns = close_pairs(tile.points, tile.points, float(core.max()))
    away = np.hypot(*(tile.points[rows] - tile.points[columns]).T)
    near = (rows != columns) & (away < core[tile.classes[rows], tile.classes[columns]] - 1e-3)
    return len(np.unique(rows[near])) / max(1, len(tile.points))


def methods(
    model: LayoutModel, real: Layout, tissue: str, seen: list[Layout]
) -> dict[str, Callable[[int], Layout]]:
    """Each way of making a layout, as a function of a seed."""
    names = model.tissue(tissue).classes
    counts = {n: int((real.class_ids == real.classes.index(n)).sum()) for n in names}

    def generated(seed: int, wanted: dict[str, int] | None) -> Layout:
        return model.sample(real.shape, seed, real.mpp, tissue, wanted)

    def other(seed: int) -> Layout:
        return seen[seed % len(seen)]

    return {
        "generated, the tile's counts": lambda seed: generated(seed, counts),
        "uniform, the tile's counts": lambda seed: uniform(real, np.random.default_rng(seed)),
        "generated, counts drawn": lambda seed: generated(seed, None),
        "perturbed real layouts": lambda seed: perturbed(other(seed), np.random.default_rng(seed)),
        "real training layouts": other,
    }


def table(model: LayoutModel, seen: Tiles, held: Tiles, draws: int) -> None:
    """Prints a row per method, means over the held-out tiles."""
    scores: dict[str, dict[str, list[list[Score]]]] = {}
    crowding: dict[str, list[float]] = {}
    for name, tissue, layout in held:
        real = interior(layout)
        classes = [
            i for i in usual_classes(real) if real.classes.names[i] in model.tissue(tissue).classes
        ]
        wanted = summaries(real, classes)
        own = [interior(t) for _, organ, t in seen if organ == tissue]
        own = [t for t in own if t.shape == real.shape and set(classes) & set(t.class_ids.tolist())]
        for method, make in methods(model, real, tissue, own).items():
            drawn = [make(seed) for seed in range(draws)]
            crowding.setdefault(method, []).append(np.mean([crowded(d, model) for d in drawn]))
            found = [summaries(d, classes) for d in drawn]
            for family in FAMILIES:
                results = [
                    score(wanted[k], [f[k] for f in found])
                    for k in wanted
                    if k.startswith(family + " ")
                ]
                usable = [r for r in results if r is not None]
                if usable:
                    scores.setdefault(method, {}).setdefault(family, []).append(usable)
        print(
            f"<!-- {name}: {tissue}, {len(real)} nuclei, {len(own)} training tiles -->", flush=True
        )
    head = "".join(f" {family} |" for family in FAMILIES for _ in range(2))
    print(f"| |{head} nuclei too close |")
    print("| --- |" + " --- |" * (2 * len(FAMILIES) + 1))
    for method, families in scores.items():
        cells = ""
        for family in FAMILIES:
            tiles = families.get(family, [])
            loss = np.mean([np.mean([s.crps for s in tile]) for tile in tiles])
            inside = np.mean([np.mean([s.inside for s in tile]) for tile in tiles])
            cells += f" {loss:.3f} | {100 * inside:.0f} % |"
        print(f"| {method} |{cells} {100 * np.mean(crowding[method]):.1f} % |")
    real_crowding = np.mean([crowded(interior(layout), model) for _, _, layout in held])
    print(f"| the held-out tiles |{' – |' * 2 * len(FAMILIES)} {100 * real_crowding:.1f} % |")


def groups(model: LayoutModel, held: Tiles) -> dict[str, Tiles]:
    """Held-out tiles whose nuclei have classes, and those whose have not; others cannot be judged."""
    found: dict[str, Tiles] = {"Tiles with classes": [], "Tiles without classes": []}
    tissues = {tissue.name: len(tissue.classes) for tissue in model.tissues}
    for tile in held:
        if tile[1] in tissues:
            found[list(found)[int(tissues[tile[1]] == 1)]].append(tile)
    return {title: tiles for title, tiles in found.items() if tiles}


def drawn(layout: Layout, side: int = 300) -> Image.Image:
    """A picture: a dot per nucleus in its class' colour."""
    big = 3 * side
    picture = Image.new("RGB", (big, big), "white")
    pen, scale = ImageDraw.Draw(picture), big / max(layout.shape)
    radius = 2.6 / layout.mpp * scale
    for (y, x), number in zip((layout.centroids + 0.5) * scale, layout.class_ids, strict=True):
        colour = tuple(int(v) for v in layout.classes.colors[number])
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def picture(model: LayoutModel, seen: Tiles, held: Tiles, path: Path) -> None:
    """Held-out tiles in rows; real, generated twice, perturbed and uniform in columns."""
    titles = ["real, held out", "generated", "generated", "perturbed real", "uniform"]
    side, gap, top = 300, 6, 22
    sheet = Image.new(
        "RGB", ((side + gap) * len(titles) + gap, (side + gap) * len(held) + top), "#777777"
    )
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        pen.text((gap + column * (side + gap) + 4, 5), title, fill="white")
    for row, (_, tissue, layout) in enumerate(held):
        real = interior(layout)
        own = [interior(t) for _, organ, t in seen if organ == tissue and t.shape == layout.shape]
        alike = [
            np.abs(
                np.bincount(t.class_ids, minlength=99) - np.bincount(real.class_ids, minlength=99)
            ).sum()
            for t in own
        ]
        make = methods(model, real, tissue, [own[int(np.argmin(alike))]])
        layouts = [
            real,
            make["generated, the tile's counts"](1),
            make["generated, the tile's counts"](2),
            make["perturbed real layouts"](1),
            make["uniform, the tile's counts"](1),
        ]
        for column, each in enumerate(layouts):
            at = gap + column * (side + gap), top + row * (side + gap)
            sheet.paste(drawn(each, side), at)
    sheet.save(path)


def speed(model: LayoutModel, repeats: int) -> None:
    """Prints medians of wall and processor time by the canvas' side."""
    print(
        "| canvas at 0.5 µm/px | nuclei | seconds | of the processor |\n| --- | --- | --- | --- |"
    )
    for side in (256, 512, 1024, 2048):
        wall, busy, nuclei = [], [], []
        for seed in range(repeats):
            start, used = time.perf_counter(), time.process_time()
            nuclei.append(len(model.sample((side, side), seed, 0.5)))
            wall.append(time.perf_counter() - start)
            busy.append(time.process_time() - used)
        middle = [float(np.median(v)) for v in (nuclei, wall, busy)]
        print(
            f"| {side}x{side} | {middle[0]:.0f} | {middle[1]:.2f} | {middle[2]:.2f} |", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["quality", "speed"])
    parser.add_argument("--model", default="default", help="layout model")
    parser.add_argument("--recipe", default="default", help="whose held-out tiles it is judged on")
    parser.add_argument("--data", type=Path, default=os.environ.get("COSYNTH_DATA"))
    parser.add_argument("--draws", type=int, default=19, help="layouts of each kind for each tile")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--picture", type=Path, default=None)
    options = parser.parse_args()
    if 0 < options.draws < FEWEST:
        parser.error(f"--draws: expected 0 or at least {FEWEST}, got {options.draws}")
    model = load_layout_model(options.model)
    if options.what == "speed":
        speed(model, options.repeats)
        return
    _, seen, held, _ = open_tiles(options.recipe, options.data and Path(options.data))
    # Tiles of a tissue that are annotated with other classes than the model's are no baseline.
    known = set(model.about.get("tiles", []))
    seen = [tile for tile in seen if tile[0] in known]
    if options.picture:
        picture(model, seen, held[:4], options.picture)
    for title, group in groups(model, held).items() if options.draws else ():
        print(f"\n{title}\n")
        table(model, seen, group, options.draws)


if __name__ == "__main__":
    main()
