"""What the commands share: their help, options that several take, and words for what is missing."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from napari_cosynth.io.errors import nearest, one_of
from napari_cosynth.io.paths import check_target, check_writable, named, report_files

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults where there is one to show."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, "", False):
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as the commands themselves do, and which name was near."""

    def error(self, message: str) -> NoReturn:
        line = " ".join(message.removeprefix("argument ").split())
        self.exit(2, f"{self.prog}: {line}; see {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, one_of(value, map(str, action.choices)))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """No argument is left over: a command's own parser knows the names that were near. A
        misspelt option is said before what is missing without it."""
        if self._subparsers is None:
            for argument in takewhile("--".__ne__, args or ()):
                name = argument.partition("=")[0]
                known = any(option.startswith(name) for option in self._option_string_actions)
                if name.startswith("--") and " " not in argument and not known:
                    self._unknown(argument)
        options, extra = super().parse_known_args(args, namespace)
        if extra:
            self._unknown(extra[0])
        return options, extra

    def _unknown(self, argument: str) -> NoReturn:
        hint = nearest(argument.partition("=")[0], self._option_string_actions)
        self.error(f"unknown argument {argument!r}{hint}")


def command(
    commands: Commands,
    name: str,
    what: str,
    example: str,
) -> argparse.ArgumentParser:
    """A command that does ``what``, shown in the list of commands and in its own help."""
    return commands.add_parser(
        name,
        help=what,
        description=what[0].upper() + what[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=Help,
    )


def add_sampling(parser: argparse.ArgumentParser, *reads: str) -> None:
    """What a request takes beside layout and prompt; ``reads`` as in :func:`add_overwrite`."""
    parser.add_argument(
        "--steps",
        type=int,
        default=0,
        help="passes of the network (default: those of few, 20 of fast and flow, 1000 of ancestral)",
    )
    parser.add_argument(
        "--sampler",
        default="",
        help="few (as the checkpoint was trained for, the default where it was), fast "
        "(SDE-DPM-Solver++), flow (DPM-Solver++, without noise), ancestral (the paper's)",
    )
    parser.add_argument(
        "--look",
        default="seed",
        metavar="LOOK",
        help="what the image is to look like: IMAGE or IMAGE:y,x,h,w, a reference; bank:TISSUE, a "
        "training tile of it; seed, one that fits tissue and layout; none",
    )
    parser.add_argument(
        "--look-mpp", type=float, default=None, help="µm per pixel of IMAGE (default: the file's)"
    )
    parser.add_argument(
        "--guidance", type=float, default=1.0, help="weight of the text: 1 as trained, 0 ignores it"
    )
    parser.add_argument("--seed", type=int, default=7, help="seed of the first sample")
    parser.add_argument(
        "--checkpoint", default="default", help="name of a bundled checkpoint, or a folder"
    )
    add_device(parser)
    add_overwrite(parser, reads=("checkpoint", "look", *reads))


def add_sample(parser: argparse.ArgumentParser) -> None:
    """``--sample`` of a layout's file."""
    parser.add_argument(
        "--sample",
        type=int,
        default=None,
        help="which sample, of a CSV with points of several: axis-0 of napari's points in a stack",
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """``--data``, checked by :func:`check_data`."""
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("COSYNTH_DATA"),
        help="folder of the data sets (default: the environment variable COSYNTH_DATA)",
    )


def check_data(options: argparse.Namespace) -> None:
    """Raises ValueError where ``--data`` is not a folder."""
    if options.data is None:
        raise ValueError("--data: name the folder of the data sets, or set COSYNTH_DATA")
    options.data = Path(options.data)
    if not options.data.is_dir():
        raise ValueError(f"--data: {options.data}: no such folder")


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")


Outputs: TypeAlias = Callable[[argparse.Namespace], Sequence[tuple[Path | None, bool]]]
"""Options -> what they name to be written, each with whether it is a folder."""


def out_folder(options: argparse.Namespace) -> Sequence[tuple[Path | None, bool]]:
    """``--out`` is a folder."""
    return [(options.out, True)]


def out_file(options: argparse.Namespace) -> Sequence[tuple[Path | None, bool]]:
    """``--out`` is a file."""
    return [(options.out, False)]


def out_report(options: argparse.Namespace) -> Sequence[tuple[Path | None, bool]]:
    """``--out`` names a page and its figures."""
    return [(path, False) for path in report_files(options.out)]


def add_overwrite(
    parser: argparse.ArgumentParser,
    what: str = "output folder",
    reads: Sequence[str] = (),
    outputs: Outputs = out_folder,
) -> None:
    """``--overwrite``, and what :func:`check_outputs` needs: the arguments that name what is read,
    and what is written."""
    parser.add_argument("--overwrite", action="store_true", help=f"replace an existing {what}")
    parser.set_defaults(outputs=outputs, reads=tuple(reads))


def name_paths(options: argparse.Namespace) -> None:
    """Paths by their names however they are given, so that no record, report or error lacks one."""
    for key, value in vars(options).items():
        if isinstance(value, Path):
            setattr(options, key, named(value))
        elif isinstance(value, list):
            setattr(options, key, [named(v) if isinstance(v, Path) else v for v in value])


def check_outputs(options: argparse.Namespace) -> None:
    """Before any work: may every output be written, and does none of them hold what is read?"""
    if not hasattr(options, "overwrite"):
        return
    read = [path for name in options.reads for path in _named(getattr(options, name))]
    for path, folder in options.outputs(options):
        if path is not None:
            check_target(path, options.overwrite, read, folder)
            check_writable(path)


def _named(value: Any) -> list[Path]:
    """The paths that an argument names: one, several, the folder of ``KIND:FOLDER`` or the file of
    ``IMAGE:y,x,h,w``."""
    if value is None:
        return []
    if isinstance(value, list):
        return [path for one in value for path in _named(one)]
    text = str(value)
    parts = [Path(part) for part in (text, text.partition(":")[2], text.rpartition(":")[0]) if part]
    return [named(part) for part in parts if part.exists()] or [named(Path(text))]
