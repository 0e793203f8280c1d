"""``cosynth demo`` and ``synthesize``."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_cosynth import registry
from napari_cosynth.cli.options import Commands, add_sampling, command


def add_demo(commands: Commands) -> None:
    parser = command(
        commands,
        "demo",
        "synthesise the bundled layouts into a training stack and one overview picture",
        "cosynth demo --out demo",
    )
    parser.add_argument("--out", type=Path, default=Path("demo"), help="output folder")
    add_sampling(parser)
    parser.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> None:
    from napari_cosynth.shell.sampling import demo

    demo(options)


def add_synthesize(commands: Commands) -> None:
    parser = command(
        commands,
        "synthesize",
        "synthesise image, labels, instances and distance map for a layout of points",
        "cosynth synthesize layout.csv --shape 256 256 --tissue colon --seed 7 --count 4 --out stack",
    )
    parser.add_argument(
        "layout", type=Path, metavar="LAYOUT.csv", help="points: index,axis-0,axis-1,class"
    )
    parser.add_argument(
        "--shape",
        type=int,
        nargs=2,
        required=True,
        metavar=("H", "W"),
        help="height and width of the layout's canvas in pixels",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the training stack")
    parser.add_argument(
        "--format", default="stack", choices=registry.names("exporter"), help="format of the output"
    )
    parser.add_argument(
        "--tissue", default="", help="organ, as the checkpoint knows it (cosynth info)"
    )
    parser.add_argument("--stain", default="H&E", help="stain, as the checkpoint knows it")
    parser.add_argument(
        "--prompt",
        default=None,
        help="text instead of the one built from tissue, stain and classes",
    )
    parser.add_argument(
        "--mpp",
        type=float,
        default=None,
        help="µm per pixel of the layout (default: the checkpoint's)",
    )
    parser.add_argument("--count", type=int, default=1, help="samples: seeds SEED, SEED + 1, ...")
    add_sampling(parser)
    parser.set_defaults(run=_synthesize)


def _synthesize(options: argparse.Namespace) -> None:
    from napari_cosynth.shell.sampling import synthesize_layout

    synthesize_layout(options)
