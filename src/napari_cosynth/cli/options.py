"""Options that several commands share, their help, and error texts for wrong arguments."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from napari_cosynth import registry
from napari_cosynth.io.errors import nearest, one_of
from napari_cosynth.io.paths import check_target, check_writable, named, report_files

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Help that shows the defaults of options, but no empty ones."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, "", False):
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """A parser with errors in one line, like those of the commands, with the closest known name."""

    def error(self, message: str) -> NoReturn:
        line = " ".join(message.removeprefix("argument ").split())
        self.exit(2, f"{self.prog}: {line}; see {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, one_of(value, map(str, action.choices)))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The parsed options; an unknown argument is an error that names the closest known one.

        Each command's own parser checks this, since it knows the command's options. A misspelt option is
        reported before the required one that is missing because of it.
        """
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
    """The parser of a command; ``what`` describes it in the list of commands and in its own help."""
    return commands.add_parser(
        name,
        help=what,
        description=what[0].upper() + what[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=Help,
    )


def add_sampling(parser: argparse.ArgumentParser, *reads: str) -> None:
    """Options of a request besides layout and prompt; ``reads`` as for :func:`add_overwrite`."""
    parser.add_argument(
        "--steps",
        type=int,
        default=0,
        help="passes of the network (default: those of few, 20 of fast and flow, 1000 of ancestral)",
    )
    parser.add_argument(
        "--sampler",
        default="",
        help="few (the default where the checkpoint was trained for it), fast (SDE-DPM-Solver++), "
        "flow (DPM-Solver++, without noise), ancestral (the paper's)",
    )
    parser.add_argument(
        "--look",
        default="seed",
        metavar="LOOK",
        help="look of the image: IMAGE or IMAGE:y,x,h,w, that of a reference; bank:TISSUE, that of a "
        "training tile of this tissue; seed, that of one that fits tissue and layout; none",
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
    """``--sample``, the sample to read of a layout's file."""
    parser.add_argument(
        "--sample",
        type=int,
        default=None,
        help="number of the sample to read from a CSV with points of several (axis-0 in napari's)",
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """``--data``, which :func:`check_data` checks."""
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


def add_source(parser: argparse.ArgumentParser) -> None:
    """How to read a data set whose files do not say everything."""
    parser.add_argument(
        "--from",
        dest="source_format",
        choices=registry.names("dataset"),
        help="format of the data set (default: by its content)",
    )
    parser.add_argument("--source-mpp", type=float, help="µm per pixel where the files state none")
    parser.add_argument("--class-names", nargs="+", help="classes from 1 where the files name none")
    parser.add_argument(
        "--instances",
        metavar="NAME",
        help="label image of the nuclei, where an OME-Zarr has several",
    )
    parser.add_argument(
        "--unclassified",
        metavar="CLASS",
        help="class of nuclei that have none, or drop (default: such a record is refused)",
    )


def source(options: argparse.Namespace) -> dict[str, Any]:
    """What :func:`add_source` takes, as options of a reader."""
    positive(options, "source_mpp")
    return {
        "mpp": options.source_mpp,
        "class_names": options.class_names,
        "instances": options.instances,
        "unclassified": options.unclassified,
    }


def positive(options: argparse.Namespace, *names: str) -> None:
    """Raises ValueError where a number that was given is not above 0."""
    for name in names:
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise ValueError(f"--{name.replace('_', '-')}: expected above 0, got {value}")


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")


Outputs: TypeAlias = Callable[[argparse.Namespace], Sequence[tuple[Path | None, bool]]]
"""Returns the paths that options name as outputs, each with True for a folder."""


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
    """``--overwrite``, and the inputs and outputs that :func:`check_outputs` needs.

    ``what`` names the output in the help; ``reads`` are the arguments that name inputs; ``outputs``
    returns the paths of the outputs.
    """
    parser.add_argument("--overwrite", action="store_true", help=f"replace an existing {what}")
    parser.set_defaults(outputs=outputs, reads=tuple(reads))


def name_paths(options: argparse.Namespace) -> None:
    """Gives every path a name, even ``.``, so that records, reports and errors can state it."""
    for key, value in vars(options).items():
        if isinstance(value, Path):
            setattr(options, key, named(value))
        elif isinstance(value, list):
            setattr(options, key, [named(v) if isinstance(v, Path) else v for v in value])


def check_outputs(options: argparse.Namespace) -> None:
    """Raises an error before any work where an output cannot be written or holds an input."""
    if not hasattr(options, "overwrite"):
        return
    read = [path for name in options.reads for path in _named(getattr(options, name))]
    for path, folder in options.outputs(options):
        if path is not None:
            check_target(path, options.overwrite, read, folder)
            check_writable(path)


def _named(value: Any) -> list[Path]:
    """The paths in an argument: one or several, the FOLDER of ``KIND:FOLDER``, the IMAGE of
    ``IMAGE:y,x,h,w``."""
    if value is None:
        return []
    if isinstance(value, list):
        return [path for one in value for path in _named(one)]
    text = str(value)
    parts = [Path(part) for part in (text, text.partition(":")[2], text.rpartition(":")[0]) if part]
    return [named(part) for part in parts if part.exists()] or [named(Path(text))]
