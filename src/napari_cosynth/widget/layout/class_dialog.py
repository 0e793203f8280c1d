"""Dialog that maps another program's class names to the model's classes; the answers are remembered."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from qtpy.QtCore import QStandardPaths
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_cosynth.foreign.files import read_json
from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.layouts.sources.class_names import NO_CLASS, suggest
from napari_cosynth.types import ClassTable
from napari_cosynth.widget.qt.forms import sure
from napari_cosynth.widget.qt.questions import window

FILE = "napari-cosynth/classes.json"
"""File in the user's configuration folder: ``{"the model's classes": {"their name": "our name"}}``."""
LEAVE_OUT = "leave them out"
_CHOOSE = "choose…"
_MOST = 200
"""Most rows of a dialog; a file with more class names has something else in that field."""


class ClassDialog(QDialog):
    """Dialog with a row for each class name: its number of nuclei and a list of the model's classes."""

    def __init__(
        self, counts: Mapping[str, int], classes: ClassTable, chosen: Mapping[str, str], title: str
    ) -> None:
        super().__init__(window())
        self.setWindowTitle("CoSynth")
        rows = QFormLayout()
        self.boxes: dict[str, QComboBox] = {}
        for name, count in counts.items():
            box = QComboBox()
            box.addItems([_CHOOSE, *classes.names[1:], LEAVE_OUT])
            wanted = chosen.get(name)
            box.setCurrentText(_CHOOSE if wanted is None else wanted or LEAVE_OUT)
            box.currentTextChanged.connect(self._show)
            self.boxes[name] = box
            rows.addRow(f"{name or NO_CLASS} ({count:,})", box)
        inner = QWidget()
        inner.setLayout(rows)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(inner)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(QLabel(f"{title}: which of the model's classes are these nuclei?"))
        column.addWidget(area)
        column.addWidget(self.buttons)
        self._show()

    @property
    def mapping(self) -> dict[str, str]:
        """Class name -> the model's class, empty to leave those nuclei out."""
        chosen = {name: str(box.currentText()) for name, box in self.boxes.items()}
        return {name: "" if value == LEAVE_OUT else value for name, value in chosen.items()}

    def _show(self) -> None:
        complete = _CHOOSE not in self.mapping.values()
        sure(self.buttons.button(QDialogButtonBox.StandardButton.Ok)).setEnabled(complete)


def ask_classes(names: Sequence[str], classes: ClassTable, title: str) -> dict[str, str] | None:
    """The model's class for each class name of some nuclei; None if the user cancels.

    An empty class means that those nuclei are left out. The user is not asked if every name is one of
    the model's. Raises ValueError if there are more than ``_MOST`` names.
    """
    counts = dict(Counter(names).most_common())
    if set(counts) <= set(classes.names[1:]):
        return {name: name for name in counts}
    if len(counts) > _MOST:
        raise ValueError(f"{title}: expected at most {_MOST} class names, got {len(counts)}")
    known = remembered(classes)
    chosen = suggest(counts, classes) | {n: c for n, c in known.items() if n in counts}
    dialog = ClassDialog(counts, classes, chosen, title)
    if dialog.exec() != QDialog.DialogCode.Accepted:
        return None
    mapping = dialog.mapping
    remember(classes, mapping)
    return mapping


def remembered(classes: ClassTable) -> dict[str, str]:
    """Earlier answers for a model with these classes; empty if the file is missing or damaged."""
    try:
        table = read_json(_file()).get(_key(classes), {})
        items = table.items()
    except (ValueError, AttributeError):
        return {}
    return {str(n): str(c) for n, c in items if c == "" or c in classes.names[1:]}


def remember(classes: ClassTable, mapping: Mapping[str, str]) -> None:
    """Saves the answers for later files."""
    try:
        content = read_json(_file())
    except ValueError:
        content = {}
    content = content if isinstance(content, dict) else {}
    content[_key(classes)] = {**remembered(classes), **mapping}
    try:
        with replaced_file(_file()) as fresh:
            fresh.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError:  # the folder cannot be written to: the user will be asked again
        return


def _file() -> Path:
    folder = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericConfigLocation)
    return Path(folder) / FILE


def _key(classes: ClassTable) -> str:
    return ", ".join(classes.names[1:])
