"""``cosynth layout fit | sample``."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_cosynth.cli.options import (
    Commands,
    add_data,
    add_overwrite,
    check_data,
    command,
    missing,
    out_file,
)


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
        "--without", nargs="+", default=[], metavar="TILE", help="tiles that are kept out of it"
    )
    parser.add_argument(
        "--rounds", type=int, default=10, help="rounds of simulation that correct the potentials"
    )
    add_overwrite(parser, "file", reads=("dataset", "data"), outputs=out_file)
    parser.set_defaults(run=_fit)


def _fit(options: argparse.Namespace) -> None:
    if options.data is not None:
        check_data(options)
    from napari_cosynth.shell.layouts import fit

    try:
        fit(
            options.dataset,
            options.out,
            options.data,
            options.without,
            options.rounds,
        )
    except ModuleNotFoundError as error:
        raise missing(error) from None


def add_sample(commands: Commands) -> None:
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
    from napari_cosynth.shell.layouts import sample

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
