"""Options of ``cosynth demo``, ``synthesize``, ``inpaint``, ``generate`` and ``replay``."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_cosynth import registry
from napari_cosynth.cli.options import (
    Commands,
    add_data,
    add_device,
    add_overwrite,
    add_sample,
    add_sampling,
    command,
)
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
    from napari_cosynth.cli.synthesis.sampling import demo

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
    parser.add_argument(
        "--match-strength",
        type=float,
        default=100.0,
        metavar="PERCENT",
        help="how far: 0 leaves the samples as they are, 100 gives them all of the reference's stain",
    )
    add_sampling(parser, "layout", "match_stain")
    parser.set_defaults(run=_synthesize)


def _synthesize(options: argparse.Namespace) -> None:
    from napari_cosynth.cli.synthesis.sampling import synthesize_layout

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
    from napari_cosynth.cli.synthesis.inpaint import inpaint_image

    inpaint_image(options)


def add_generate(commands: Commands) -> None:
    parser = command(
        commands,
        "generate",
        "make a whole data set by a plan: stacks in shards, and a manifest of every sample",
        "cosynth generate plan.toml --data ~/nuclei --out dataset --workers 4",
    )
    parser.add_argument("plan", type=Path, metavar="PLAN.toml", help="what to make")
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="the data set's folder")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument(
        "--workers", type=int, default=1, help="processes on this machine, one per GPU where it has"
    )
    parser.add_argument(
        "--scheduler", default=None, help="address of a running dask scheduler instead: HOST:PORT"
    )
    parser.set_defaults(run=_generate)


def _generate(options: argparse.Namespace) -> None:
    if options.scheduler is not None and options.workers > 1:
        raise ValueError("--workers: the scheduler has its own workers: leave one of the two out")
    from napari_cosynth.cli.synthesis.generation import generate_dataset

    generate_dataset(
        options.plan,
        options.out,
        options.data,
        resume=options.resume,
        workers=options.workers,
        scheduler=options.scheduler,
    )


def add_replay(commands: Commands) -> None:
    parser = command(
        commands,
        "replay",
        "make a sample of an export again by its recipe, and say whether it is the same",
        "cosynth replay stack --sample 0",
    )
    parser.add_argument(
        "export",
        type=Path,
        metavar="EXPORT",
        help="a stack or another export, or a generated data set",
    )
    parser.add_argument("--sample", type=int, default=0, help="which of its samples, from 0")
    parser.add_argument("--out", type=Path, default=None, help="folder for the sample, as a stack")
    parser.add_argument(
        "--checkpoint",
        default=None,
        help="name or folder (default: the known one with the recipe's sha256)",
    )
    add_device(parser)
    add_overwrite(parser, reads=("export", "checkpoint"))
    parser.set_defaults(run=_replay)


def _replay(options: argparse.Namespace) -> int:
    from napari_cosynth.cli.synthesis.generation import replay_sample

    same = replay_sample(
        options.export,
        options.sample,
        out=options.out,
        checkpoint=options.checkpoint,
        device=options.device,
        overwrite=options.overwrite,
    )
    return 0 if same else 1
