"""The shell: ``cosynth demo | synthesize | train | evaluate | compare | ...``."""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Sequence

import napari_cosynth
from napari_cosynth.cli.checks import check_values
from napari_cosynth.cli.console import quiet, show_everything
from napari_cosynth.cli.datasets import parser as datasets
from napari_cosynth.cli.evaluation import parser as evaluation
from napari_cosynth.cli.layouts import parser as layouts
from napari_cosynth.cli.options import Help, Parser, check_outputs, name_paths
from napari_cosynth.cli.synthesis import parser as synthesis
from napari_cosynth.cli.training import parser as training
from napari_cosynth.io.errors import one_line

DESCRIPTION = """\
From class-tagged points to a histopathology image, its semantic labels and its nuclei, by one joint
diffusion model. Start with: cosynth demo
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code.

    It is 0 for success, and 2 for bad input, with one line on stderr. ``check`` returns 1 where it found
    something, ``replay`` where the sample differs. 130 means that Ctrl-C was pressed. Without a command
    the list of commands is printed.
    """
    show_everything()
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help(sys.stderr)
        return 2
    name = " ".join(filter(None, (options.command, getattr(options, "layout_command", None))))
    logging.basicConfig(level=logging.WARNING, format="cosynth: %(message)s")
    quiet()
    try:
        name_paths(options)
        check_values(options, name)
        check_outputs(options)
        code: int | None = options.run(options)
    except ModuleNotFoundError as error:
        line = _not_installed(error)
        print(f"cosynth {name}: {line}", file=sys.stderr)
        return 2
    except (ValueError, OSError) as error:
        line = _message(error)
        if isinstance(error, FileExistsError) and hasattr(options, "overwrite"):
            line = line if "--overwrite" in line else f"{line}; --overwrite replaces it"
        print(f"cosynth {name}: {line}", file=sys.stderr)
        return 2
    except MemoryError as error:
        print(f"cosynth {name}: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        resumable = hasattr(options, "resume") and options.out.exists()
        hint = "; the same command with --resume goes on" if resumable else ""
        print(f"cosynth {name}: stopped{hint}", file=sys.stderr)
        return 130
    return code or 0


def _not_installed(error: ModuleNotFoundError) -> str:
    """Error text for a missing library of an extra. Raises the error where our own module is missing."""
    package = (error.name or "napari_cosynth").partition(".")[0]
    if package == "napari_cosynth":
        raise error
    return f'training needs {package}: pip install "napari-cosynth[train]"'


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    # A system error quoted in our line needs neither its number nor the file's name a second time.
    return re.sub(r"\[Errno \d+\] ([^:()]+): '[^']*'", r"\1", one_line(error))


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = Parser(
        prog="cosynth", description=DESCRIPTION, formatter_class=Help
    )
    parser.add_argument(
        "--version", action="version", version=f"cosynth {napari_cosynth.__version__}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    synthesis.add_demo(commands)
    synthesis.add_synthesize(commands)
    synthesis.add_inpaint(commands)
    layouts.add_layout(commands)
    synthesis.add_generate(commands)
    synthesis.add_replay(commands)
    training.add_recipe(commands)
    training.add_train(commands)
    training.add_train_segmenter(commands)
    training.add_export_checkpoint(commands)
    training.add_pack(commands)
    evaluation.add_evaluate(commands)
    evaluation.add_compare(commands)
    evaluation.add_score(commands)
    evaluation.add_separation(commands)
    datasets.add_info(commands)
    datasets.add_convert(commands)
    datasets.add_split(commands)
    datasets.add_check(commands)
    evaluation.add_downstream(commands)
    return parser
