"""Options of ``cosynth recipe``, ``train``, ``train-segmenter``, ``export-checkpoint`` and ``pack``."""

from __future__ import annotations

import argparse
import logging
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from napari_cosynth.cli.checks import parse_mapping
from napari_cosynth.cli.console import quiet
from napari_cosynth.cli.options import (
    Commands,
    add_data,
    add_device,
    add_overwrite,
    add_source,
    check_data,
    command,
    source,
)
from napari_cosynth.io.paths import check_new


def add_train(commands: Commands) -> None:
    parser = command(
        commands,
        "train",
        "train a model by a recipe",
        "cosynth train default --data ~/nuclei --out runs/default",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="name of a bundled recipe, or a TOML file")
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="the run's folder")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument("--init", default=None, help="checkpoint to start from (name or folder)")
    parser.add_argument(
        "--hours", type=float, default=None, help="stop after so many hours; resumable"
    )
    parser.add_argument(
        "--save-minutes", type=float, default=10.0, help="time between states to resume from"
    )
    add_device(parser)
    parser.add_argument(
        "--devices", default="1", help="processes on each machine, one per GPU, or auto for all"
    )
    parser.add_argument("--nodes", type=int, default=1, help="machines")
    parser.add_argument("--strategy", default="auto", help="Lightning's, for several processes")
    parser.add_argument(
        "--workers", type=int, default=None, help="processes that make batches (default: by device)"
    )
    parser.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> None:
    check_data(options)
    if options.devices != "auto" and not options.devices.isdecimal():
        raise ValueError(f"--devices: expected a number or auto, got {options.devices!r}")
    train = _training("run").train
    quiet()  # again: Lightning sets its own levels when it is imported
    # Shows the run's messages on its data and its start.
    logging.getLogger("napari_cosynth").setLevel(logging.INFO)
    folder = train(
        options.recipe,
        options.data,
        options.out,
        resume=options.resume,
        init=options.init,
        device=options.device,
        devices=options.devices if options.devices == "auto" else int(options.devices),
        nodes=options.nodes,
        strategy=options.strategy,
        workers=options.workers,
        max_hours=options.hours,
        save_minutes=options.save_minutes,
        progress=sys.stderr.isatty(),
    )
    print(f"the trained checkpoint is in {folder}")


def add_recipe(commands: Commands) -> None:
    parser = command(
        commands,
        "recipe",
        "write a recipe for a folder of your own tiles, to train on from the bundled model",
        "cosynth recipe few --on slides/mine --classes tumour='malignant epithelial' --out mine.toml",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="the recipe to follow: few or default")
    parser.add_argument("--on", type=Path, required=True, help="folder or file of the data set")
    add_source(parser)
    parser.add_argument("--tissue", default=None, help="of all tiles, where the files name none")
    parser.add_argument(
        "--classes",
        nargs="+",
        default=[],
        metavar="OLD=NEW",
        help="its classes as those of the recipe; the others are kept, as new ones",
    )
    parser.add_argument(
        "--hold-out",
        nargs="+",
        default=[],
        metavar="TEXT",
        help="keep the tiles with one of these in their names for validation, such as a patient's number "
        "(default: some tiles)",
    )
    parser.add_argument("--steps", type=int, default=3000, help="optimiser steps")
    parser.add_argument("--out", type=Path, required=True, help="TOML file to write, a new one")
    parser.set_defaults(run=_recipe)


def _recipe(options: argparse.Namespace) -> None:
    check_new(options.out, "name another file")
    from napari_cosynth.cli.training.own import write_own

    write_own(
        options.recipe,
        options.on,
        options.source_format,
        options.out,
        options.steps,
        parse_mapping(options.classes),
        {**source(options), "tissue": options.tissue},
        options.hold_out,
    )


def _training(module: str) -> Any:
    """A module of ``napari_cosynth.training``, whose libraries are an extra."""
    return import_module(f"napari_cosynth.training.{module}")


def add_train_segmenter(commands: Commands) -> None:
    parser = command(
        commands,
        "train-segmenter",
        "train HoVer-Net on the training tiles of a recipe, to judge samples with",
        "cosynth train-segmenter default --data ~/nuclei --sets consep --out segmenter",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="name of a bundled recipe, or a TOML file")
    add_data(parser)
    parser.add_argument(
        "--sets", nargs="+", default=None, help="data sets of the recipe by folder (default: all)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="the run's folder; one that was stopped goes on"
    )
    parser.add_argument(
        "--preset", default="compact", choices=("compact", "full"), help="compact is for CPUs"
    )
    parser.add_argument("--steps", type=int, default=2000, help="optimiser steps")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and patches")
    parser.add_argument(
        "--hours", type=float, default=None, help="stop after so many hours; resumable"
    )
    add_device(parser)
    parser.set_defaults(run=_train_segmenter)


def _train_segmenter(options: argparse.Namespace) -> None:
    check_data(options)
    from napari_cosynth.cli.training.segmenter import train_on_recipe

    quiet()
    folder = train_on_recipe(
        options.recipe,
        options.data,
        options.out,
        sets=options.sets or (),
        network={"preset": options.preset},
        steps=options.steps,
        seed=options.seed,
        hours=options.hours,
        device=options.device,
    )
    if folder is None:
        print(f"{options.out}: stopped; the same command goes on")
    else:
        print(f"the segmenter is in {folder}: cosynth evaluate STACK --segmenter {folder} ...")


def add_export_checkpoint(commands: Commands) -> None:
    parser = command(
        commands,
        "export-checkpoint",
        "write a run's averaged weights as a checkpoint folder with its model card",
        "cosynth export-checkpoint runs/mine checkpoints/mine",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument("out", type=Path, metavar="OUT", help="the checkpoint's folder")
    parser.add_argument(
        "--float32", action="store_true", help="store float32 instead of float16: twice the size"
    )
    parser.add_argument(
        "--fit-areas",
        type=Path,
        default=None,
        metavar="DATA",
        help="folder of the recipe's data sets: sample layouts of training tiles and fit the sizes of "
        "nuclei to theirs (minutes)",
    )
    add_overwrite(parser, reads=("run_folder", "fit_areas"))
    parser.set_defaults(run=_export_checkpoint)


def _export_checkpoint(options: argparse.Namespace) -> None:
    export_run = _training("export").export_run
    quiet()
    logging.getLogger("napari_cosynth").setLevel(logging.INFO)
    folder = export_run(
        options.run_folder,
        options.out,
        half=not options.float32,
        overwrite=options.overwrite,
        areas_from=options.fit_areas,
    )
    print(f"{folder}: look at it with: cosynth info {folder}")


def add_pack(commands: Commands) -> None:
    parser = command(
        commands,
        "pack",
        "pack a recipe's data, prepared, into a few files that are easy to carry",
        "cosynth pack default --data ~/nuclei --out packed",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="name of a bundled recipe, or a file")
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument(
        "--shard-mib", type=float, default=15.0, help="largest size of a file in MiB; 0 makes one"
    )
    add_overwrite(parser, reads=("recipe", "data"))
    parser.set_defaults(run=_pack)


def _pack(options: argparse.Namespace) -> None:
    check_data(options)
    from napari_cosynth.cli.training.pack import pack

    pack(options.recipe, options.data, options.out, options.shard_mib, options.overwrite)
