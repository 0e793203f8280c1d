"""``cosynth demo`` and ``synthesize``."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_cosynth import registry
from napari_cosynth.cli.options import Commands, add_sample, add_sampling, command
from napari_cosynth.types import H_AND_E


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
    add_sample(parser)
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
    parser.add_argument("--stain", default=H_AND_E, help="stain, as the checkpoint knows it")
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
    parser.add_argument(
        "--scratch",
        type=Path,
        default=None,
        help="folder for the state of a canvas above 512 pixels: the same command continues a killed run",
    )
    parser.add_argument(
        "--match-stain",
        type=Path,
        default=None,
        metavar="REFERENCE",
        help="8-bit RGB image whose stain the samples get",
    )
    parser.add_argument(
        "--match-method", default="macenko", help="how: " + ", ".join(registry.names("normaliser"))
    )
    add_sampling(parser, "layout", "match_stain")
    parser.set_defaults(run=_synthesize)


def _synthesize(options: argparse.Namespace) -> None:
    from napari_cosynth.shell.sampling import synthesize_layout

    synthesize_layout(options)


def add_inpaint(commands: Commands) -> None:
    parser = command(
        commands,
        "inpaint",
        "sample nuclei into a region of a real image; all other pixels stay as they are",
        "cosynth inpaint slide.svs layout.csv --region 900 1200 160 160 --tissue colon --out edited",
    )
    parser.add_argument("image", type=Path, metavar="IMAGE.tif", help="slide or other RGB TIFF")
    parser.add_argument(
        "layout",
        type=Path,
        metavar="LAYOUT.csv",
        help="all nuclei the region is to hold, in the image's pixels: index,axis-0,axis-1,class",
    )
    add_sample(parser)
    parser.add_argument(
        "--region",
        type=int,
        nargs=4,
        required=True,
        metavar=("Y", "X", "H", "W"),
        help="upper left corner, height and width in the image's pixels",
    )
    parser.add_argument(
        "--before",
        type=Path,
        default=None,
        metavar="LAYOUT.csv",
        help="the nuclei the image shows as it is (cosynth layout detect): then only what is around "
        "points that differ from these is new",
    )
    parser.add_argument(
        "--points",
        choices=("image", "region"),
        default=None,
        help="what the points are counted from: the image's corner, or the region's, as layout detect "
        "--region writes them (default: the image's, unless none then lies in the region)",
    )
    parser.add_argument(
        "--mpp", type=float, default=None, help="µm per pixel of the image (default: the file's)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of image.tif and stack")
    parser.add_argument(
        "--tissue", default="", help="organ, as the checkpoint knows it (cosynth info)"
    )
    parser.add_argument(
        "--prompt", default=None, help="text instead of the one built from tissue and classes"
    )
    add_sampling(parser, "image", "layout", "before")
    parser.set_defaults(run=_inpaint)


def _inpaint(options: argparse.Namespace) -> None:
    from napari_cosynth.shell.inpaint import inpaint_image

    inpaint_image(options)
