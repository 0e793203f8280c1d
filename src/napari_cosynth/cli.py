"""The shell: ``cosynth demo | synthesize | train | evaluate | compare | ...``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import napari_cosynth

DESCRIPTION = """\
From class-tagged points to a histopathology image, its semantic labels and its nuclei, by one joint
diffusion model. Start with: cosynth demo
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; 0 when it worked, 2 with one line on stderr when its input was bad."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="cosynth: %(message)s")
    _quiet()
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        print(f"cosynth {options.command}: {_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"cosynth {options.command}: stopped", file=sys.stderr)
        return 130
    return 0


def _quiet() -> None:
    """Third-party chatter that would drown our one line."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for name in ("lightning.pytorch", "lightning.fabric", "transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults where there is one to show."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, "", False):
            return action.help
        return super()._get_help_string(action)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cosynth", description=DESCRIPTION, formatter_class=_Help)
    parser.add_argument("--version", action="version", version=napari_cosynth.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_synthesize(commands)
    _add_train(commands)
    _add_export_checkpoint(commands)
    _add_pack(commands)
    _add_evaluate(commands)
    _add_compare(commands)
    _add_info(commands)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    what: str,
    example: str,
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=what,
        description=what[0].upper() + what[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=_Help,
    )


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=20, help="steps of the sampler")
    parser.add_argument(
        "--sampler",
        default="fast",
        help="fast, flow (no noise in it), ancestral",
    )
    parser.add_argument(
        "--guidance", type=float, default=1.0, help="weight of the text: 1 as trained, 0 ignores it"
    )
    parser.add_argument("--seed", type=int, default=7, help="seed of the first sample")
    parser.add_argument(
        "--checkpoint", default="default", help="name of a bundled checkpoint, or a folder"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an existing output folder"
    )


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "demo",
        "synthesise the bundled layouts into a training stack and one overview picture",
        "cosynth demo --out demo",
    )
    parser.add_argument("--out", type=Path, default=Path("demo"), help="output folder")
    _add_sampling(parser)
    parser.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> None:
    from napari_cosynth.shell.sampling import demo

    demo(options)


def _add_synthesize(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
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
    _add_sampling(parser)
    parser.set_defaults(run=_synthesize)


def _synthesize(options: argparse.Namespace) -> None:
    from napari_cosynth.shell.sampling import synthesize_layout

    synthesize_layout(options)


def _add_train(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "train",
        "train a model by a recipe",
        "cosynth train default --data ~/nuclei --out runs/default",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="name of a bundled recipe, or a TOML file")
    _add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="the run's folder")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument("--init", default=None, help="checkpoint to start from (name or folder)")
    parser.add_argument("--hours", type=float, default=None, help="stop, resumable, after so long")
    parser.add_argument(
        "--save-minutes", type=float, default=10.0, help="time between states to resume from"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    parser.add_argument(
        "--devices", default="1", help="processes on each machine, one per GPU, or auto for all"
    )
    parser.add_argument("--nodes", type=int, default=1, help="machines")
    parser.add_argument("--strategy", default="auto", help="Lightning's, for several processes")
    parser.add_argument(
        "--workers", type=int, default=None, help="processes that make batches (default: by device)"
    )
    parser.set_defaults(run=_train)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("COSYNTH_DATA"),
        help="folder of the data sets (default: the environment variable COSYNTH_DATA)",
    )


def _check_data(options: argparse.Namespace) -> None:
    if options.data is None:
        raise ValueError("--data: name the folder of the data sets, or set COSYNTH_DATA")
    options.data = Path(options.data)
    if not options.data.is_dir():
        raise ValueError(f"--data: {options.data}: no such folder")


def _train(options: argparse.Namespace) -> None:
    _check_data(options)
    if options.devices != "auto" and not options.devices.isdecimal():
        raise ValueError(f"--devices: expected a number or auto, got {options.devices!r}")
    train = _training("run").train
    _quiet()  # again: Lightning sets its own levels when it is imported
    # What the run says of its data and its start.
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
    )
    print(f"the trained checkpoint is in {folder}")


def _missing(error: ModuleNotFoundError) -> ValueError:
    return ValueError(f'training needs {error.name}: pip install "napari-cosynth[train]"')


def _training(module: str) -> Any:
    """A module of ``napari_cosynth.training``, whose libraries are an extra."""
    try:
        return import_module(f"napari_cosynth.training.{module}")
    except ModuleNotFoundError as error:
        raise _missing(error) from None


def _add_export_checkpoint(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
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
        "--overwrite", action="store_true", help="replace an existing output folder"
    )
    parser.set_defaults(run=_export_checkpoint)


def _export_checkpoint(options: argparse.Namespace) -> None:
    export_run = _training("export").export_run
    folder = export_run(
        options.run_folder, options.out, half=not options.float32, overwrite=options.overwrite
    )
    print(f"{folder}: look at it with: cosynth info {folder}")


def _add_pack(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "pack",
        "pack a recipe's data, prepared, into a few files that are easy to carry",
        "cosynth pack default --data ~/nuclei --out packed",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="name of a bundled recipe, or a file")
    _add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument(
        "--shard-mib", type=float, default=15.0, help="largest size of a file in MiB; 0 makes one"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an existing output folder"
    )
    parser.set_defaults(run=_pack)


def _pack(options: argparse.Namespace) -> None:
    _check_data(options)
    if options.shard_mib < 0:
        raise ValueError(f"--shard-mib: expected 0 or more, got {options.shard_mib}")
    try:
        from napari_cosynth.shell.pack import pack
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    pack(options.recipe, options.data, options.out, options.shard_mib, options.overwrite)


def _add_evaluate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "evaluate",
        "measure a stack against real tiles: one page to read, and the figures as JSON",
        "cosynth evaluate stack --against default --data ~/nuclei --sets consep --out report",
    )
    parser.add_argument("stack", type=Path, metavar="STACK", help="folder of the training stack")
    parser.add_argument(
        "--against",
        required=True,
        metavar="DATASET",
        help="a recipe (its held-out tiles), KIND:FOLDER such as consep:DIR, or a stack folder",
    )
    _add_data(parser)
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
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing report")
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    if options.data is not None:
        _check_data(options)
    try:
        from napari_cosynth.shell.evaluate import run
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    page = run(
        options.stack,
        options.against,
        options.out,
        data_root=options.data,
        sets=options.sets or (),
        inception=options.inception,
        encoder=options.encoder,
        device_name=options.device,
        overwrite=options.overwrite,
    )
    print(f"{page}: open it in a browser; the figures are in {page.with_suffix('.json').name}")


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
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


def _add_info(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "info",
        "show a checkpoint's classes and tissues, and what this machine runs it on",
        "cosynth info default",
    )
    parser.add_argument(
        "checkpoint", nargs="?", default="default", help="name of a bundled checkpoint, or a folder"
    )
    parser.set_defaults(run=_info)


def _info(options: argparse.Namespace) -> None:
    from napari_cosynth.shell.info import print_info

    print_info(options.checkpoint)


if __name__ == "__main__":
    sys.exit(main())
