"""The train dock's form for the data set: folder, survey, classes and a picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from magicgui.widgets import FloatSpinBox, Label, LineEdit, PushButton
from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QSizePolicy,
    QWidget,
)

from napari_cosynth.datasets.survey import Survey
from napari_cosynth.layouts.sources.class_names import suggest
from napari_cosynth.types import ClassTable
from napari_cosynth.widget.layout.class_dialog import remember, remembered
from napari_cosynth.widget.qt.forms import column_in, form
from napari_cosynth.widget.qt.status import Status
from napari_cosynth.widget.qt.thumbnails import small_picture
from napari_cosynth.widget.run.background import Background

KEPT = "a new class"
PICTURE = 340
"""Width of the picture in pixels: a tile, and beside it the same tile with outlined nuclei."""
MOST_CLASSES = 30
"""Most class names; with more, the files' field of classes holds something else."""


class DataForm(QWidget):
    """Form that surveys a folder off the GUI thread, and asks for facts that the files do not have."""

    changed = Signal()
    """Something changed that goes into the recipe: data set, mapping, µm/px or tissue."""

    def __init__(self, ask: Callable[..., Any]) -> None:
        """``ask`` answers the calls of :data:`napari_cosynth.widget.run.server.ASIDE`."""
        super().__init__()
        self._ask = ask
        self._work = Background("survey")
        self._asked = 0
        self.survey: Survey | None = None
        self.classes: ClassTable | None = None
        self.boxes: dict[str, QComboBox] = {}
        self.folder = LineEdit(value="")
        self.browse = PushButton(text="Browse…")
        self.mpp = FloatSpinBox(value=0, min=0, max=100, step=0.05)
        self.tissue = LineEdit(value="")
        self._words = Label(value="tissue")
        self.facts = Status()
        self.picture = QLabel()
        self.folder.tooltip = "The folder of the data set; its format is found by its content"
        self.mpp.tooltip = "Micrometres per pixel, where the files do not tell"
        self.tissue.tooltip = "Of all tiles, such as colon; empty: not said"
        self._rows = QFormLayout()
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(3)
        self._rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        box = column_in(self)
        box.addWidget(form(("Folder", [self.folder, self.browse])))
        box.addWidget(form(("µm/px", [self.mpp, self._words, self.tissue])))
        box.addWidget(self.facts.native)
        box.addLayout(self._rows)
        box.addWidget(self.picture)
        self.picture.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.picture.hide()
        self.mpp.enabled = self.tissue.enabled = False
        self.browse.changed.connect(lambda: self._choose())
        self.folder.native.editingFinished.connect(lambda: self.look_into(str(self.folder.value)))
        self.mpp.changed.connect(lambda: self.changed.emit())
        self.tissue.changed.connect(lambda: self.changed.emit())

    @property
    def busy(self) -> bool:
        """Whether a folder is being read."""
        return self._work.busy

    @property
    def missing(self) -> str:
        """Why training cannot begin with this data set yet; empty if it can."""
        if self.survey is None:
            return "the data set is being read" if self.busy else "no data set is chosen"
        if not self.survey.mpp_stated and not self.mpp.value:
            return "the files do not tell their µm/px"
        return ""

    @property
    def mapping(self) -> dict[str, str]:
        """Class name of the data set -> class name of the recipe."""
        chosen = {name: str(box.currentText()) for name, box in self.boxes.items()}
        return {name: name if new == KEPT else new for name, new in chosen.items()}

    @property
    def options(self) -> dict[str, Any]:
        """Options for the data set's reader."""
        found: dict[str, Any] = {}
        if self.survey is not None and not self.survey.mpp_stated and self.mpp.value:
            found["mpp"] = float(self.mpp.value)
        if self.tissue.enabled and str(self.tissue.value).strip():
            found["tissue"] = str(self.tissue.value).strip()
        return found

    def seen(self) -> Survey | None:
        """The survey with lengths by the user's µm/px, without its pictures; None without a survey."""
        found = self.survey
        if found is None:
            return None
        factor = 1.0
        if not found.mpp_stated and self.mpp.value:
            factor = float(self.mpp.value) / next(iter(found.sizes))
        return dataclasses.replace(
            found,
            least_side=found.least_side * factor,
            area=found.area * factor**2,
            pictures=[],
        )

    def use_classes(self, classes: ClassTable) -> None:
        """Offers the classes of the model that training starts from."""
        self.classes = classes
        if self.survey is not None:
            self._show_classes(self.survey)

    def look_into(self, name: str) -> None:
        """Surveys a folder in any known format."""
        name = name.strip()
        if (self.survey is not None and name == str(self.survey.path)) or not name:
            return
        self.folder.value = name
        self.survey = None
        self._asked += 1
        number = self._asked
        self.facts.value = "reading…"
        self.changed.emit()

        def work() -> tuple[Survey, QImage | None]:
            found: Survey = self._ask("survey", Path(name).expanduser(), None, {})
            if not found.pictures:
                return found, None
            above, below = np.split(found.pictures[0], 2)
            return found, small_picture(np.concatenate([above, below], 1), PICTURE)

        def show(answer: tuple[Survey, QImage | None]) -> None:
            if number == self._asked:
                self._show(*answer)

        def refuse(error: Exception) -> None:
            if number == self._asked:
                self.facts.value = str(error).partition("; --from")[0]
                self.picture.hide()
                self._clear()
                self.changed.emit()

        self._work.do(work, show, refuse)

    def remember(self) -> None:
        """Saves the mapping for later data sets with the same class names."""
        if self.classes is not None:
            known = self.classes.names[1:]
            remember(self.classes, {n: c for n, c in self.mapping.items() if c in known})

    def close_it(self) -> None:
        """Ends the background work, because the dock is being destroyed."""
        self._work.close()

    def _choose(self) -> None:
        if name := QFileDialog.getExistingDirectory(self, "Folder of the data set"):
            self.look_into(name)

    def _show(self, found: Survey, picture: QImage | None) -> None:
        if len(found.classes) > MOST_CLASSES:
            self.facts.value = (
                f"{found.path}: expected at most {MOST_CLASSES} classes, got {len(found.classes)}"
            )
            return
        self.survey = found
        with self.mpp.changed.blocked(), self.tissue.changed.blocked():
            self.mpp.enabled = not found.mpp_stated
            self.mpp.value = next(iter(found.sizes), 0) if found.mpp_stated else 0
            named = sorted(name for name in found.tissues if name)
            self.tissue.enabled = not named and found.takes_tissue
            self.tissue.value = ", ".join(named)
        self.facts.value = summary(found)
        self._show_classes(found)
        self.picture.setVisible(picture is not None)
        if picture is not None:
            self.picture.setPixmap(QPixmap.fromImage(picture))
        self.changed.emit()

    def _clear(self) -> None:
        while self._rows.rowCount():
            self._rows.removeRow(0)
        self.boxes.clear()

    def _show_classes(self, found: Survey) -> None:
        self._clear()
        known = self.classes.names[1:] if self.classes is not None else ()
        likely: dict[str, str] = {}
        if self.classes is not None:
            before = remembered(self.classes)
            likely = suggest(found.classes, self.classes) | {n: c for n, c in before.items() if c}
        for name in found.classes:
            box = QComboBox()
            new = [] if name in known else [KEPT]
            box.addItems([*new, *known])
            box.setCurrentText(likely.get(name, new[0] if new else name))
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            box.setToolTip("The class of the model that it is, or one more that the model learns")
            box.currentTextChanged.connect(lambda _: self.changed.emit())
            self.boxes[name] = box
            self._rows.addRow(f"{name} ({found.nuclei[name]:,}) is", box)


def summary(found: Survey) -> str:
    """A survey in one line: format, tiles, nuclei, assumptions."""
    part = "" if found.read == found.records else f" in {found.read:,} of them"
    sides = " and ".join(f"{h} x {w}" for (h, w), _ in found.shapes.most_common(2))
    more = " and others" if len(found.shapes) > 2 else ""
    tiles = "1 tile" if found.records == 1 else f"{found.records:,} tiles"
    line = (
        f"Format {found.kind}: {tiles} of {sides}{more} pixels, "
        f"{found.nuclei.total():,} nuclei{part}."
    )
    if not found.mpp_stated:
        line += " The files do not tell their µm/px: put it in."
    return " ".join((line, *found.notes))
