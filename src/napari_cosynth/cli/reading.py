"""``cosynth evaluate --reading`` and ``score``: a blind reading of real and synthetic pairs."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_cosynth.cli.options import Commands, add_overwrite, command, missing, out_file


def add_reading(parser: argparse.ArgumentParser) -> None:
    """The options of ``evaluate`` that make a reading."""
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
    try:
        from napari_cosynth.shell.reading import KEY, PAGE, make
    except ModuleNotFoundError as error:
        raise missing(error) from None
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
    try:
        from napari_cosynth.shell.reading import print_scores
    except ModuleNotFoundError as error:
        raise missing(error) from None
    print_scores(options.reading, options.answers, options.out)
