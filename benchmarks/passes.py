"""Quality against passes: what each further pass of a sampler buys, and what it costs.

    python benchmarks/passes.py --data DATA [--checkpoint default] [--patches 16] [--plot passes.svg]

DATA is the folder of the data sets (default: COSYNTH_DATA). Samples the layouts of held-out patches and
prints a Markdown row for each sampler and number of passes: texture, adherence to the layout, distances
on ImageNet features, seconds a sample. Above them stand the patches themselves, whose distance is that
of half of their tiles from the other half, at half the number, and as many patches of training tiles,
whose distance is what other tissue gives at the same number. A checkpoint
that follows looks is asked for that of each layout's own tile. With --rows FILE the figures are kept as
JSON after every row, and rows that are there already are not sampled again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.evaluation.encoders.imagenet import imagenet_features
from napari_cosynth.evaluation.metrics.distances import frechet_distance, kernel_distance
from napari_cosynth.evaluation.metrics.quotients import json_ready
from napari_cosynth.evaluation.metrics.texture import band_ratios, spectral_distance, texture
from napari_cosynth.evaluation.reports.figure import IMAGENET, halved
from napari_cosynth.evaluation.reports.report import PLOT_HEIGHT, PLOT_WIDTH, Plot, drawing, number
from napari_cosynth.evaluation.reports.samples import Samples
from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.model.checkpoint import load
from napari_cosynth.model.efficientnet import pretrained, weights_file
from napari_cosynth.model.samplers import FEW, sampler_of
from napari_cosynth.records.spectrum import BANDS, band_name, radial_power
from napari_cosynth.types import Record
from realism import AREAS, follow, held_out, held_out_looks, samples_of, training_medians

Figures = dict[str, float | None]
SECONDS = "median seconds a sample"
FRECHET, KERNEL = (f"{name} distance ({IMAGENET})" for name in ("Fréchet", "kernel"))
SPECTRUM = "distance of power spectra, dB"
POINTS, SPURIOUS = "points whose pixel has their class", "spurious foreground"
PLOTTED = (FRECHET, KERNEL, SPECTRUM, "Laplacian", POINTS, SECONDS)
REAL, OTHER = "real, half against half", "real, training tiles"


def textures(records: Sequence[Record], real: Sequence[Record]) -> Figures:
    """Texture figures of records, and their spectrum against that of real ones."""
    images, labels = (np.stack([getattr(r, f) for r in records]) for f in ("image", "labels"))
    found = texture(images, labels)
    made, wanted = (np.mean([radial_power(r.image) for r in rs], 0) for rs in (records, real))
    bands = band_ratios(made, wanted, min(labels.shape[1:]))
    return {
        "Laplacian": found.laplacian,
        **{
            f"autocorrelation at {n} px": c
            for n, c in zip((1, 2, 4), found.correlation, strict=True)
        },
        "haematoxylin AUC": found.auc,
        **dict(zip(("red", "green", "blue"), found.colour, strict=True)),
        **{f"power, {band_name(*b)}": float(v) for b, v in zip(BANDS, bands, strict=True)},
        SPECTRUM: spectral_distance(made, wanted),
        "nucleus area of all pixels": float((labels > 0).mean()),
    }


def features_of(records: Sequence[Record]) -> npt.NDArray[np.float64]:
    """ImageNet features, one row an image."""
    return imagenet_features(pretrained(), np.stack([r.image for r in records]))


def distances(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> Figures:
    return {FRECHET: frechet_distance(a, b), KERNEL: kernel_distance(a, b)}


def real_figures(
    real: Sequence[Record], other: Sequence[Record], frozen: bool
) -> dict[str, Figures]:
    """What the held-out patches have, and as many of training tiles against them."""
    rows = {REAL: textures(real, real), OTHER: textures(other, real)}
    if frozen:
        own = features_of(real)
        rows[OTHER] |= distances(features_of(other), own)
        whole = Samples(real, [r.source for r in real], imagenet=own)
        for name, distance in ((FRECHET, frechet_distance), (KERNEL, kernel_distance)):
            rows[REAL][name] = halved(whole, lambda a, b, d=distance: d(own[a], own[b]))
    return rows


def table(rows: dict[str, Figures]) -> list[str]:
    """Lines of Markdown: a row per sampler and number of passes."""
    columns = list(dict.fromkeys(name for figures in rows.values() for name in figures))
    lines = [f"| | {' | '.join(columns)} |", "| --- " * (len(columns) + 1) + "|"]
    for name, figures in rows.items():
        lines.append(f"| {name} | {' | '.join(number(figures.get(c)) for c in columns)} |")
    return lines


def plots(rows: dict[str, Figures]) -> str:
    """An SVG file's content: figures over the number of passes, a line per sampler."""
    points: dict[str, list[tuple[int, Figures]]] = {}
    for name, figures in rows.items():
        sampler, _, passes = name.rpartition(" ")
        if passes.isdigit():
            points.setdefault(sampler, []).append((int(passes), figures))
    ends = [passes for line in points.values() for passes, _ in line]
    panels = []
    for figure in PLOTTED:
        lines = {}
        for sampler, found in points.items():
            values = sorted((p, f[figure]) for p, f in found if f.get(figure) is not None)
            if values:
                lines[sampler] = tuple(np.array(values, np.float64).T)
        base = OTHER if figure in (FRECHET, KERNEL) else REAL
        level = rows[base].get(figure)
        if lines and level is not None:
            lines["real"] = np.array([min(ends), max(ends)]), np.array([level, level])
        if lines:
            panels.append(drawing(Plot(figure, "passes", lines, logarithmic=True)))
    placed = "".join(
        f'<g transform="translate({PLOT_WIDTH * (i % 2)} {PLOT_HEIGHT * (i // 2)})">{panel}</g>'
        for i, panel in enumerate(panels)
    )
    width, height = 2 * PLOT_WIDTH, PLOT_HEIGHT * -(-len(panels) // 2)
    start = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
    return f"{start}{placed}</svg>\n"


def kept_rows(path: Path | None, of: dict[str, Any]) -> dict[str, Figures]:
    """The rows of a file of the same checkpoint and patches; none where there is no file."""
    if path is None or not path.exists():
        return {}
    content = json.loads(path.read_text("utf-8"))
    if content["of"] != of:
        raise SystemExit(f"{path}: rows of another checkpoint or other patches: {content['of']}")
    rows: dict[str, Figures] = content["rows"]
    return rows


def keep(path: Path | None, of: dict[str, Any], rows: dict[str, Figures]) -> None:
    if path is not None:
        with replaced_file(path) as fresh:
            fresh.write_text(json.dumps({"of": of, "rows": rows}, indent=1) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("COSYNTH_DATA"))
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--sets", nargs="+", default=["consep"])
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--few", type=int, nargs="*", default=[1, 2, 3, 4], metavar="PASSES")
    parser.add_argument("--fast", type=int, nargs="*", default=[6, 10, 20, 50], metavar="PASSES")
    parser.add_argument(
        "--ancestral", type=int, nargs="*", default=[], metavar="PASSES", help="1000: hours"
    )
    parser.add_argument("--patches", type=int, default=16)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--plot", type=Path, default=None, help="writes an SVG")
    parser.add_argument("--rows", type=Path, default=None, help="keeps the figures as JSON")
    options = parser.parse_args()
    wanted = [
        (sampler, passes)
        for sampler in (FEW, "fast", "ancestral")
        for passes in getattr(options, sampler)
    ]
    checkpoint = load(options.checkpoint)
    try:
        sampler_of(checkpoint.config, FEW)
    except ValueError as error:
        print(f"{FEW} is left out: {error}\n", flush=True)
        wanted = [w for w in wanted if w[0] != FEW]
    try:
        frozen = bool(weights_file())
    except ValueError as error:
        print(f"distances on {IMAGENET} are left out: {error}\n", flush=True)
        frozen = False
    chosen = {k: getattr(options, k) for k in ("recipe", "sets", "patches", "size")}
    of = {"checkpoint": checkpoint.sha256, **chosen, IMAGENET: frozen}
    rows = kept_rows(options.rows, of)
    where = (options.recipe, options.data, options.sets, options.patches, options.size)
    real = held_out(*where)
    medians = training_medians(options.recipe, options.data)
    if REAL not in rows:
        rows |= json_ready(real_figures(real, held_out(*where, training=True), frozen))
    own = features_of(real) if frozen else None
    looks = None
    if checkpoint.config.look is not None:
        looks = held_out_looks(options.recipe, options.data, options.sets, real)
    for sampler, passes in wanted:
        name = f"{sampler} {passes}"
        if name in rows:
            continue
        samples = samples_of(real, options.checkpoint, passes, looks, sampler=sampler)
        records = [s.record for s in samples]
        adherence = follow(samples, medians)
        figures = {
            **textures(records, real),
            **{k: adherence[k] for k in (POINTS, SPURIOUS, AREAS)},
            **(distances(features_of(records), own) if own is not None else {}),
            SECONDS: statistics.median(s.seconds for s in samples),
        }
        rows[name] = json_ready(figures)
        keep(options.rows, of, rows)
    shown = {n: f for n, f in rows.items() if n in (REAL, OTHER)}
    shown |= {n: rows[n] for n in (f"{sampler} {passes}" for sampler, passes in wanted)}
    print("\n".join(table(shown)), flush=True)
    if options.plot is not None:
        with replaced_file(options.plot) as fresh:
            fresh.write_text(plots(shown), "utf-8")


if __name__ == "__main__":
    main()
