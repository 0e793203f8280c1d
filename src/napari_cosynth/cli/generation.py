"""``cosynth generate`` and ``replay``."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_cosynth.cli.options import (
    Commands,
    add_data,
    add_device,
    add_overwrite,
    command,
)


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
    from napari_cosynth.shell.generation import generate_dataset

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
    from napari_cosynth.shell.generation import replay_sample

    same = replay_sample(
        options.export,
        options.sample,
        out=options.out,
        checkpoint=options.checkpoint,
        device=options.device,
        overwrite=options.overwrite,
    )
    return 0 if same else 1
