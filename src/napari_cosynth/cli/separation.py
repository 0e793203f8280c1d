"""``cosynth separation``."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_cosynth.cli.options import Commands, add_overwrite, command, missing, out_report


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
    try:
        from napari_cosynth.shell.separation import run
    except ModuleNotFoundError as error:
        raise missing(error) from None
    print("\n".join(run(options.datasets, options.out, options.mpp)))
