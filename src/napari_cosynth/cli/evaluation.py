"""``cosynth evaluate``, ``compare`` and ``downstream``."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_cosynth.cli.options import (
    Commands,
    add_data,
    add_device,
    add_overwrite,
    check_data,
    command,
    missing,
    out_folder,
    out_report,
    quiet,
)
from napari_cosynth.cli.reading import add_reading, make_reading


def add_evaluate(commands: Commands) -> None:
    parser = command(
        commands,
        "evaluate",
        "measure synthetic samples against real tiles: one page to read, and the figures as JSON",
        "cosynth evaluate stack --against default --data ~/nuclei --sets consep --out report",
    )
    parser.add_argument(
        "stack", type=Path, metavar="STACK", help="folder of a stack or of a generated data set"
    )
    parser.add_argument(
        "--against",
        required=True,
        metavar="DATASET",
        help="a recipe (its held-out tiles), KIND:FOLDER such as consep:DIR, or the folder of "
        "a stack or of a generated data set",
    )
    add_data(parser)
    parser.add_argument(
        "--sets", nargs="+", default=None, help="data sets of the recipe by folder (default: all)"
    )
    parser.add_argument("--out", type=Path, required=True, help="writes OUT.html and OUT.json")
    parser.add_argument(
        "--inception", type=Path, default=None, help="weights file of InceptionV3, for FID and IS"
    )
    parser.add_argument(
        "--encoder",
        type=Path,
        default=None,
        help="file of the tile encoder: read if it is there, else trained and kept in it",
    )
    add_reading(parser)
    parser.add_argument(
        "--segmenter",
        type=Path,
        default=None,
        help="folder of a segmenter trained on real tiles (cosynth train-segmenter): do images show "
        "the nuclei of their labels?",
    )
    add_device(parser)
    add_overwrite(
        parser,
        "report",
        reads=("stack", "against", "data", "inception", "encoder", "segmenter"),
        outputs=lambda options: (out_folder if options.reading else out_report)(options),
    )
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    if options.data is not None:
        check_data(options)
    if options.reading:
        make_reading(options)
        return
    try:
        from napari_cosynth.shell.evaluate import run
    except ModuleNotFoundError as error:
        raise missing(error) from None
    page = run(
        options.stack,
        options.against,
        options.out,
        data_root=options.data,
        sets=options.sets or (),
        inception=options.inception,
        encoder=options.encoder,
        segmenter=options.segmenter,
        device_name=options.device,
    )
    print(f"{page}: open it in a browser; the figures are in {page.with_suffix('.json').name}")


def add_compare(commands: Commands) -> None:
    parser = command(
        commands,
        "compare",
        "say which differences of two reports of cosynth evaluate hold",
        "cosynth compare before.json after.json",
    )
    parser.add_argument("a", type=Path, metavar="A.json", help="a report")
    parser.add_argument("b", type=Path, metavar="B.json", help="another, against the same tiles")
    parser.add_argument("--all", action="store_true", help="show every figure, not only those")
    parser.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> None:
    from napari_cosynth.shell.compare import print_comparison

    print_comparison(options.a, options.b, options.all)


def add_downstream(commands: Commands) -> None:
    parser = command(
        commands,
        "downstream",
        "train segmenters with and without samples, and compare them on real tiles none of them saw",
        "cosynth downstream downstream-consep --data ~/nuclei --out downstream --run real+aug:0",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="name of a bundled recipe, or a TOML file")
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of sets, runs and results")
    parser.add_argument(
        "--run",
        dest="chosen",
        nargs="+",
        default=None,
        metavar="ARM:SEED",
        help="only these runs (default: all that are missing); one that was stopped goes on",
    )
    parser.add_argument("--report", action="store_true", help="only report what is done so far")
    parser.add_argument("--hours", type=float, default=None, help="stop, resumable, after so long")
    add_device(parser)
    parser.set_defaults(run=_downstream)


def _downstream(options: argparse.Namespace) -> None:
    check_data(options)
    try:
        from napari_cosynth.shell.downstream import downstream
    except ModuleNotFoundError as error:
        raise missing(error) from None
    quiet()  # again: Lightning sets its own levels when it is imported
    downstream(
        options.recipe,
        options.data,
        options.out,
        chosen=options.chosen or (),
        only_report=options.report,
        hours=options.hours,
        device=options.device,
    )
