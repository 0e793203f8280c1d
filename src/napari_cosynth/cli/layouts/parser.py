"""Options of ``cosynth layout detect``, ``convert``, ``fit`` and ``sample``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from napari_cosynth import registry
from napari_cosynth.cli.options import (
    Commands,
    add_data,
    add_overwrite,
    add_sample,
    check_data,
    command,
    out_file,
)


def add_layout(commands: Commands) -> None:
    """Adds the group of commands; each has a function of its own."""
    parser = command(
        commands,
        "layout",
        "make layouts of points: of an image, of other programs' files, of a fitted model",
        "cosynth layout detect tile.png --mpp 0.25 --out layout.csv",
    )
    group = parser.add_subparsers(dest="layout_command", required=True, metavar="COMMAND")
    add_detect(group)
    add_convert(group)
    add_fit(group)
    add_sampled(group)


def add_detect(commands: Commands) -> None:
    parser = command(
        commands,
        "detect",
        "find the nuclei of an H&E image or a slide's region and write them as a layout",
        "cosynth layout detect slide.svs --region 1000 800 512 512 --to-mpp 0.5 --out layout.csv",
    )
    parser.add_argument("image", type=Path, metavar="IMAGE", help="an image file or a slide")
    parser.add_argument(
        "--mpp",
        type=float,
        default=None,
        help="µm per pixel of the image; needed where the file does not tell",
    )
    parser.add_argument(
        "--region",
        type=int,
        nargs=4,
        default=None,
        metavar=("Y", "X", "H", "W"),
        help="part of the image, in its pixels (default: all of it)",
    )
    parser.add_argument(
        "--class", dest="class_name", default="unspecified", help="class of the nuclei found"
    )
    _add_out(parser)
    add_overwrite(parser, "layout", reads=("image", "checkpoint"), outputs=out_file)
    parser.set_defaults(run=_detect)


def _detect(options: argparse.Namespace) -> None:
    from napari_cosynth.cli.layouts.nuclei import detect

    detect(options)


def add_convert(commands: Commands) -> None:
    parser = command(
        commands,
        "convert",
        "convert nuclei of QuPath, HoVer-Net, CellViT, labels or a data set into a layout",
        "cosynth layout convert cells.geojson layout.csv --mpp 0.25 --map Tumor='malignant epithelial'",
    )
    parser.add_argument(
        "source",
        metavar="SRC",
        help=f"a file, or KIND:FOLDER of a data set ({', '.join(registry.names('dataset'))})",
    )
    parser.add_argument(
        "out",
        type=Path,
        metavar="OUT",
        help="the layout's CSV; for a data set a folder, with one CSV for each tile",
    )
    add_sample(parser)
    parser.add_argument(
        "--format",
        default=None,
        choices=registry.names("layout"),
        help="format of the file (default: by its name)",
    )
    parser.add_argument(
        "--mpp", type=float, default=None, help="µm per pixel of the file's coordinates"
    )
    parser.add_argument(
        "--region",
        type=int,
        nargs=4,
        default=None,
        metavar=("Y", "X", "H", "W"),
        help="part of the image, in its pixels (default: all that has nuclei)",
    )
    parser.add_argument(
        "--map",
        nargs="+",
        default=[],
        metavar="THEIRS=OURS",
        help="classes that are called differently; THEIRS= leaves a class out, =OURS is no class",
    )
    parser.add_argument(
        "--instances",
        type=Path,
        default=None,
        metavar="TIFF",
        help="write the outlines as instances on the file's own pixels, ids in the file's order",
    )
    _add_out(parser, out=False)
    add_overwrite(parser, "layout", reads=("source", "checkpoint"), outputs=_converted)
    parser.set_defaults(run=_convert)


def _converted(options: argparse.Namespace) -> Sequence[tuple[Path | None, bool]]:
    """The outputs of ``convert``; the layouts of a data set are a folder."""
    kind, _, folder = options.source.partition(":")
    many = bool(folder) and kind in registry.names("dataset")
    return [(options.out, many), (options.instances, False)]


def _convert(options: argparse.Namespace) -> None:
    from napari_cosynth.cli.layouts.nuclei import convert

    convert(options)


def _add_out(parser: argparse.ArgumentParser, out: bool = True) -> None:
    parser.add_argument(
        "--to-mpp", type=float, default=None, help="µm per pixel of the layout (default: --mpp)"
    )
    parser.add_argument(
        "--checkpoint", default="default", help="checkpoint with the classes: a name or a folder"
    )
    if out:
        parser.add_argument("--out", type=Path, required=True, help="the layout's CSV")


def add_fit(commands: Commands) -> None:
    parser = command(
        commands,
        "fit",
        "fit a model of where nuclei lie to annotated tiles",
        "cosynth layout fit consep:nuclei/consep/train --out colon.json",
    )
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        help="KIND:FOLDER such as consep:DIR, a stack folder, or a recipe (its training tiles)",
    )
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="the model's file, JSON")
    parser.add_argument(
        "--without", nargs="+", default=[], metavar="TILE", help="tiles to leave out of the fit"
    )
    parser.add_argument(
        "--rounds", type=int, default=10, help="rounds of simulation that correct the potentials"
    )
    add_overwrite(parser, "file", reads=("dataset", "data"), outputs=out_file)
    parser.set_defaults(run=_fit)


def _fit(options: argparse.Namespace) -> None:
    if options.data is not None:
        check_data(options)
    from napari_cosynth.cli.layouts.generated import fit

    fit(
        options.dataset,
        options.out,
        options.data,
        options.without,
        options.rounds,
    )


def add_sampled(commands: Commands) -> None:
    parser = command(
        commands,
        "sample",
        "draw layouts from a model",
        "cosynth layout sample default --shape 256 256 --seed 7 --tissue colon --out layout.csv",
    )
    parser.add_argument(
        "model", metavar="MODEL", help="name of a bundled model (default), or a file"
    )
    parser.add_argument(
        "--shape",
        type=int,
        nargs=2,
        required=True,
        metavar=("H", "W"),
        help="height and width of the canvas in pixels",
    )
    parser.add_argument("--seed", type=int, default=7, help="seed of the first layout")
    parser.add_argument("--count", type=int, default=1, help="layouts: seeds SEED, SEED + 1, ...")
    parser.add_argument("--mpp", type=float, default=0.5, help="µm per pixel of the canvas")
    parser.add_argument(
        "--tissue", default="", metavar="ORGAN", help="a tissue of the model (default: its first)"
    )
    parser.add_argument(
        "--counts",
        nargs="+",
        default=[],
        metavar="CLASS=N",
        help="exact numbers of nuclei; the classes not named are drawn",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="CSV file; a folder for several layouts"
    )
    add_overwrite(
        parser,
        "output",
        reads=("model",),
        outputs=lambda options: [(options.out, options.count > 1)],
    )
    parser.set_defaults(run=_sample)


def _sample(options: argparse.Namespace) -> None:
    from napari_cosynth.cli.layouts.generated import sample

    sample(
        options.model,
        (options.shape[0], options.shape[1]),
        options.out,
        options.seed,
        options.count,
        options.mpp,
        options.tissue,
        _counts(options.counts),
        options.overwrite,
    )


def _counts(values: list[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for value in values:
        name, _, number = value.rpartition("=")
        if not name or not number.strip().isdecimal():
            raise ValueError(f"--counts: expected CLASS=N, got {value!r}")
        if name.strip() in counts:
            raise ValueError(f"--counts: {name.strip()}: given twice")
        counts[name.strip()] = int(number)
    return counts
