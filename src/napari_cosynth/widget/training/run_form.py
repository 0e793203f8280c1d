"""The train dock's form for the run: name, folder, recipe, steps and expected cost."""

from __future__ import annotations

import shutil
from pathlib import Path

from magicgui.widgets import ComboBox, Label, LineEdit, PushButton, SpinBox
from psygnal import Signal
from qtpy.QtWidgets import QFileDialog, QSizePolicy, QWidget

from napari_cosynth.training.own.cost import Cost
from napari_cosynth.widget.qt.forms import column_in, form
from napari_cosynth.widget.qt.status import Status
from napari_cosynth.widget.run.speed import duration

RECIPES = {
    "few: on from the bundled model": ("few", "default"),
    "default: from random weights": ("default", None),
}
"""Text of the choice -> the base recipe, and the checkpoint that training starts from or None."""
STEPS = 3000
GIGABYTE = 1e9


class RunForm(QWidget):
    """Form with name, folder, recipe and steps of a run."""

    changed = Signal()

    def __init__(self, place: Path) -> None:
        """``place``: the folder in which a run's own folder is made."""
        super().__init__()
        self.name = LineEdit(value="")
        self.recipe = ComboBox(choices=list(RECIPES))
        self.steps = SpinBox(value=STEPS, min=1, max=10_000_000, step=500)
        self.place = LineEdit(value=str(place))
        self.browse = PushButton(text="Browse…")
        self._words = Label(value="steps")
        self.estimate = Status(lines=2)
        self.name.tooltip = "Of the run's folder, and of the model in the list of checkpoints"
        self.recipe.tooltip = (
            "few goes on from the bundled model; default starts anew and takes longer"
        )
        self.steps.tooltip = "A run of few that goes on from the bundled model needs a few thousand"
        self.place.tooltip = "The folder in which the run's folder, its recipe and its log are put"
        box = column_in(self)
        rows = form(
            ("Name", [self.name, self._words, self.steps]),
            ("Recipe", [self.recipe]),
            ("Runs in", [self.place, self.browse]),
        )
        # A fixed height: else the estimate below, whose height follows its text, would squeeze the rows.
        rows.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        box.addWidget(rows)
        box.addWidget(self.estimate.native)
        for widget in (self.name, self.recipe, self.steps, self.place):
            widget.changed.connect(lambda: self.changed.emit())
        self.browse.changed.connect(lambda: self._choose())

    @property
    def base(self) -> tuple[str, str | None]:
        """The base recipe, and the checkpoint that training starts from or None."""
        return RECIPES[str(self.recipe.value)]

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(str(self.place.value)).expanduser() / str(self.name.value).strip()

    @property
    def missing(self) -> str:
        """Why no run can begin with this form; empty if it can."""
        name = str(self.name.value).strip()
        if not name or Path(name).name != name or name.startswith("."):
            return "the run has no name that a folder can have"
        if self.folder.exists() or self.recipe_file.exists():
            return f"there is a run called {name} already: take another name, or open it"
        return ""

    @property
    def recipe_file(self) -> Path:
        """File of the recipe, beside the run's folder."""
        return self.folder.with_name(self.folder.name + ".toml")

    @property
    def log(self) -> Path:
        """File of the run's output, beside its folder."""
        return self.folder.with_name(self.folder.name + ".log")

    def expect(self, cost: Cost | None, of_pass: float | None, note: str = "") -> None:
        """Shows the time and disk space that the run will take; without a cost shows ``note``.

        ``of_pass``: seconds per pass and megapixel, None if not measured.
        """
        if cost is None:
            self.estimate.value = note
            return
        parts = [f"{cost.steps:,} steps"]
        if of_pass is None:
            parts.append("how long one takes is told once it runs, or after a sample was made")
        else:
            step = cost.step * of_pass
            parts.append(f"{step:.2g} s each, {duration(cost.seconds(of_pass))} in all (estimated)")
        room = f"{cost.disk / GIGABYTE:.1f} GB of the disk"
        free = _free(self.folder)
        if free is not None:
            room += f", which has {free / GIGABYTE:,.0f} free"
            if free < cost.disk:
                room += ": TOO LITTLE"
        parts.append(room)
        self.estimate.value = "; ".join(parts) + "."

    def _choose(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "Folder for runs"):
            self.place.value = folder


def _free(folder: Path) -> int | None:
    """Free bytes on the disk where a folder would be made; None if the system does not tell."""
    try:
        return shutil.disk_usage(next(p for p in folder.absolute().parents if p.is_dir())).free
    except OSError:
        return None
