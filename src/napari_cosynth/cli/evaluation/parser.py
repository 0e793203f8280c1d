"""Options of ``cosynth evaluate``, ``compare``, ``score``, ``separation`` and ``downstream``."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_cosynth.cli.console import quiet
from napari_cosynth.cli.options import (
    Commands,
    add_data,
    add_device,
    add_overwrite,
    check_data,
    command,
    out_file,
    out_folder,
    out_report,
)


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
    from napari_cosynth.cli.evaluation.evaluate import run

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
    from napari_cosynth.cli.evaluation.compare import print_comparison

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
    parser.add_argument(
        "--hours", type=float, default=None, help="stop after so many hours; resumable"
    )
    add_device(parser)
    parser.set_defaults(run=_downstream)


def _downstream(options: argparse.Namespace) -> None:
    check_data(options)
    from napari_cosynth.cli.evaluation.downstream import downstream

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


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``evaluate`` that make a blind reading."""
    group = parser.add_argument_group("blind reading")
    group.add_argument(
        "--reading",
        action="store_true",
        help="write the folder OUT with a page of shuffled real and synthetic pairs to rate, and its key",
    )
    group.add_argument(
        "--pairs", type=int, default=40, help="pairs of a reading, half of them real"
    )
    group.add_argument(
        "--seed", type=int, default=None, help="seed of a reading's order (default: a random one)"
    )


def make_reading(options: argparse.Namespace) -> None:
    from napari_cosynth.cli.evaluation.reading import KEY, PAGE, make

    count = make(
        options.stack,
        options.against,
        options.out,
        data_root=options.data,
        sets=options.sets or (),
        pairs=options.pairs,
        seed=options.seed,
        overwrite=options.overwrite,
    )
    print(
        f"{options.out / PAGE}: {count} pairs to rate in a browser; keep {KEY} from the readers, and "
        f"score what they save with: cosynth score {options.out} ANSWERS.csv"
    )


def add_score(commands: Commands) -> None:
    parser = command(
        commands,
        "score",
        "score what readers saved from the page of a blind reading",
        "cosynth score reading reading-ann.csv reading-ben.csv",
    )
    parser.add_argument("reading", type=Path, metavar="READING", help="its folder, or its key.json")
    parser.add_argument("answers", type=Path, nargs="+", metavar="ANSWERS.csv", help="one a reader")
    parser.add_argument("--out", type=Path, default=None, help="also write the scores as JSON")
    add_overwrite(parser, "file of scores", reads=("reading", "answers"), outputs=out_file)
    parser.set_defaults(run=_score)


def _score(options: argparse.Namespace) -> None:
    from napari_cosynth.cli.evaluation.reading import print_scores

    print_scores(options.reading, options.answers, options.out)


def add_separation(commands: Commands) -> None:
    parser = command(
        commands,
        "separation",
        "measure how well touching nuclei are told apart, by points and by two baselines",
        "cosynth separation consep:nuclei/consep/train folder:nuclei/monuseg/train --out separation",
    )
    parser.add_argument(
        "datasets",
        nargs="+",
        metavar="DATASET",
        help="KIND:FOLDER such as consep:DIR, folder:DIR or pannuke:DIR, or a stack folder",
    )
    parser.add_argument("--mpp", type=float, default=0.5, help="µm/px the tiles are brought to")
    parser.add_argument("--out", type=Path, required=True, help="writes OUT.html and OUT.json")
    add_overwrite(parser, "report", reads=("datasets",), outputs=out_report)
    parser.set_defaults(run=_separation)


def _separation(options: argparse.Namespace) -> None:
    if not 0.05 <= options.mpp <= 10:
        raise ValueError(f"--mpp: expected 0.05 to 10 µm/px, got {options.mpp:g}")
    from napari_cosynth.cli.evaluation.separation import run

    print("\n".join(run(options.datasets, options.out, options.mpp)))
