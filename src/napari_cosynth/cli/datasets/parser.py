"""Options of ``cosynth info``, ``convert``, ``split`` and ``check``."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_cosynth import registry
from napari_cosynth.cli.checks import parse_mapping, parse_shares
from napari_cosynth.cli.options import (
    Commands,
    add_overwrite,
    add_source,
    command,
    positive,
    source,
)
from napari_cosynth.known import COMPRESSIONS, WEIGHTS, locate


def add_info(commands: Commands) -> None:
    parser = command(
        commands,
        "info",
        "show what a data set, an export, a slide or a checkpoint holds",
        "cosynth info default\n  cosynth info pannuke/ --picture pannuke.png\n  cosynth info slide.svs",
    )
    parser.add_argument(
        "path",
        nargs="?",
        default="default",
        help="folder or file of a data set; a slide; or name or folder of a checkpoint",
    )
    add_source(parser)
    parser.add_argument(
        "--picture", type=Path, help="PNG file for some records, or for a slide's thumbnail"
    )
    add_overwrite(
        parser, "picture", reads=("path",), outputs=lambda options: [(options.picture, False)]
    )
    parser.set_defaults(run=_info)


def _info(options: argparse.Namespace) -> None:
    path = Path(options.path)
    if (path / WEIGHTS).is_file() or not path.exists():
        locate(options.path)  # before torch is imported
        from napari_cosynth.cli.datasets.info import print_info

        print_info(options.path)
        return
    from napari_cosynth.cli.datasets.info import describe, describe_slide, is_slide

    if options.source_format is None and is_slide(path):
        describe_slide(path, options.picture)
        return
    describe(path, options.source_format, options.picture, **source(options))


def add_convert(commands: Commands) -> None:
    parser = command(
        commands,
        "convert",
        "write a data set of any format in another, a record at a time",
        "cosynth convert consep/train coco --to coco --mpp 0.5 --classes fibroblast=spindle-shaped",
    )
    parser.add_argument("source", type=Path, metavar="SRC", help="folder or file of the data set")
    parser.add_argument("target", type=Path, metavar="DST", help="folder to write")
    parser.add_argument(
        "--to", required=True, choices=registry.names("exporter"), help="its format"
    )
    add_source(parser)
    parser.add_argument("--mpp", type=float, help="µm per pixel to resample to")
    parser.add_argument(
        "--classes", nargs="+", default=[], metavar="OLD=NEW", help="classes to rename or merge"
    )
    parser.add_argument(
        "--patch", type=int, help="side in pixels of the square patches to cut the tiles into"
    )
    parser.add_argument(
        "--compression", choices=COMPRESSIONS, help="compression of a stack (default: zlib)"
    )
    add_overwrite(parser, reads=("source",), outputs=lambda options: [(options.target, True)])
    parser.set_defaults(run=_convert)


def _convert(options: argparse.Namespace) -> None:
    from napari_cosynth.cli.datasets.convert import Changes, convert

    positive(options, "mpp", "patch")
    convert(
        options.source,
        options.target,
        options.to,
        options.source_format,
        Changes(options.mpp, parse_mapping(options.classes), options.patch),
        options.overwrite,
        options.compression,
        **source(options),
    )


def add_split(commands: Commands) -> None:
    parser = command(
        commands,
        "split",
        "divide a data set by slide or patient, never by patch",
        "cosynth split lizard/ splits --parts train=0.8 val=0.1 test=0.1 --to stack",
    )
    parser.add_argument("source", type=Path, metavar="SRC", help="folder or file of the data set")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for split.csv and the parts")
    parser.add_argument(
        "--parts",
        nargs="+",
        default=["train=0.8", "val=0.1", "test=0.1"],
        metavar="NAME=SHARE",
        help="names of the parts and their shares of the records",
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed makes another split")
    parser.add_argument(
        "--groups", type=Path, help="CSV of names and slides (default: as the files tell)"
    )
    parser.add_argument("--column", default="slide", help="column of --groups to divide by")
    parser.add_argument(
        "--to", choices=registry.names("exporter"), help="format to write the parts in as well"
    )
    add_source(parser)
    add_overwrite(parser, reads=("source", "groups"))
    parser.set_defaults(run=_split)


def _split(options: argparse.Namespace) -> None:
    from napari_cosynth.cli.datasets.convert import split

    split(
        options.source,
        options.out,
        parse_shares(options.parts),
        options.seed,
        options.source_format,
        options.groups,
        options.column,
        options.to,
        options.overwrite,
        **source(options),
    )


def add_check(commands: Commands) -> None:
    parser = command(
        commands,
        "check",
        "look for damage in data sets, copies, and slides that splits share; exit code 1 if any",
        "cosynth check splits/train splits/val splits/test",
    )
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="DIR", help="a data set, or each split"
    )
    add_source(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    from napari_cosynth.cli.datasets.check import run

    return run(options.paths, options.source_format, options.json, **source(options))
