"""A run's folder: what lies in it, and how far the run is, read while it goes on. Needs no torch."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.io.atomic import replaced_file, replaced_folder
from napari_cosynth.io.settings import FORBID_UNKNOWN, parse, plain, read_table
from napari_cosynth.known import CONFIG, WEIGHTS

STATE = "last.ckpt"
RECIPE = "recipe.json"
MODEL = "model"
START = "start.json"
SAMPLES, LOG = "samples", "log"
SECONDS = "seconds"
"""In the log: of one step, without what happens between two of them."""
RECENT = 20
"""Rows of the log by whose median the time of a step is told."""


@dataclass(frozen=True)
class Start:
    """What a run was started with beside its recipe, so that it can go on from its folder alone."""

    __pydantic_config__ = FORBID_UNKNOWN

    data: str
    """The folder of the data sets."""
    init: str | None = None
    """The checkpoint whose weights it began with."""

    def write(self, run: Path) -> None:
        """Keeps it in a run's folder."""
        with replaced_file(run / START) as fresh:
            fresh.write_text(json.dumps(plain(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, run: Path) -> Start | None:
        """What :meth:`write` has put into a run's folder; None if an earlier version made the run.

        Raises ValueError naming file and field.
        """
        file = run / START
        return parse(cls, read_table(file), str(file)) if file.is_file() else None


Curve = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]
"""Steps, rising, and a figure's values at them."""


@dataclass(frozen=True)
class Run:
    """A run as its files tell it at one moment."""

    folder: Path
    steps: int
    """Of the whole run."""
    done: int = 0
    """Steps that the log or the exported model know of."""
    curves: dict[str, Curve] = field(default_factory=dict)
    """Figure -> its values; of a step that was made twice, the later."""
    grids: tuple[Path, ...] = ()
    """Pictures of samples, the newest last."""
    resumable: bool = False
    """Whether it holds a state."""
    exported: int = 0
    """Steps of the exported model; 0: there is none."""
    start: Start | None = None

    @property
    def finished(self) -> bool:
        """Whether its model is that of the last step."""
        return self.exported >= self.steps

    @property
    def seconds(self) -> float | None:
        """Of a step, as lately measured; None before the first row of the log."""
        if SECONDS not in self.curves:
            return None
        return float(np.median(self.curves[SECONDS][1][-RECENT:]))


def read_run(folder: Path) -> Run:
    """The run in a folder. Raises ValueError where there is none.

    What is being written at this moment, such as the last line of a log, is passed over.
    """
    if not (folder / RECIPE).is_file():
        raise ValueError(f"{folder}: not the folder of a run (it has no {RECIPE})")
    table = read_table(folder / RECIPE)
    try:
        steps = sum(int(stage["steps"]) for stage in table["stages"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{folder / RECIPE}: stages: not those of a training recipe") from None
    curves = _curves(folder)
    exported = _exported(folder / MODEL / CONFIG)
    losses = [at[-1] + 1 for name, (at, _) in curves.items() if name == "loss"]
    return Run(
        folder,
        steps,
        min(steps, max([exported, *losses])),
        curves,
        tuple(sorted(folder.glob(f"{SAMPLES}/[0-9]*.png"))),  # not one that is being written
        (folder / STATE).is_file(),
        exported,
        Start.read(folder),
    )


def _curves(folder: Path) -> dict[str, Curve]:
    """The figures of all starts' logs, one after the other."""
    found: dict[str, dict[int, float]] = {}
    logs = sorted(folder.glob(f"{LOG}/version_*/metrics.csv"), key=_version)
    for log in logs:
        for row in _rows(log):
            try:
                step = int(row.pop("step"))
                values = {name: float(v) for name, v in row.items() if name and v}
            except (KeyError, TypeError, ValueError):  # a line that is being written
                continue
            for name, value in values.items():
                found.setdefault(name, {})[step] = value
    return {
        name: (np.array(sorted(by_step)), np.array([by_step[s] for s in sorted(by_step)]))
        for name, by_step in found.items()
    }


def _version(log: Path) -> int:
    number = log.parent.name.rpartition("_")[2]
    return int(number) if number.isdecimal() else -1


def _rows(log: Path) -> Iterator[dict[str, Any]]:
    try:
        with log.open(newline="", encoding="utf-8", errors="replace") as handle:
            yield from csv.DictReader(handle)
    except (OSError, csv.Error):  # the log is written anew when a figure joins it
        return


def _exported(config: Path) -> int:
    """The steps of an exported model; 0 where there is none or it does not tell."""
    try:
        return int(json.loads(config.read_text(encoding="utf-8"))["training"]["steps"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def keep_model(run: Path, place: Path, name: str) -> Path:
    """Copies a run's exported model into a folder of checkpoints, under a name that is free there.

    Raises ValueError where the run has none yet.
    """
    model = run / MODEL
    if not (model / WEIGHTS).is_file():
        raise ValueError(f"{run}: no exported model in it yet")
    target, number = place / name, 1
    while target.exists() and not _same(model, target):
        number += 1
        target = place / f"{name}-{number}"
    if not target.exists():
        with replaced_folder(target) as fresh:
            for file in sorted(model.iterdir()):
                (fresh / file.name).write_bytes(file.read_bytes())
    return target


def _same(model: Path, other: Path) -> bool:
    """Whether two checkpoint folders hold the same model, as their configurations tell."""
    try:
        return (model / CONFIG).read_bytes() == (other / CONFIG).read_bytes()
    except OSError:
        return False
