"""Which data set, where it lies, and which of its tiles: two small dialogs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QInputDialog,
    QLineEdit,
    QPushButton,
)

from napari_cosynth import registry
from napari_cosynth.widget.qt.forms import sure
from napari_cosynth.widget.qt.questions import window


class DatasetDialog(QDialog):
    """A kind of data set and its folder."""

    def __init__(self) -> None:
        super().__init__(window())
        self.setWindowTitle("CoSynth")
        self.kind = QComboBox()
        self.kind.addItems(registry.names("dataset"))
        self.folder = QLineEdit()
        browse = QPushButton("Browse…")
        browse.clicked.connect(self._browse)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.folder.textChanged.connect(self._show)
        rows = QFormLayout(self)
        rows.addRow("Data set", self.kind)
        rows.addRow("Folder", self.folder)
        rows.addRow("", browse)
        rows.addRow(self.buttons)
        self._show()

    @property
    def choice(self) -> tuple[str, Path]:
        return str(self.kind.currentText()), Path(str(self.folder.text())).expanduser()

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of the data set")
        if folder:
            self.folder.setText(folder)

    def _show(self) -> None:
        known = Path(str(self.folder.text())).expanduser().is_dir() and bool(self.folder.text())
        sure(self.buttons.button(QDialogButtonBox.StandardButton.Ok)).setEnabled(known)


def ask_dataset() -> tuple[str, Path] | None:
    """A registered kind and a folder; None if the user cancels."""
    dialog = DatasetDialog()
    accepted = dialog.exec() == QDialog.DialogCode.Accepted
    return dialog.choice if accepted else None


def ask_tile(names: Sequence[str]) -> str | None:
    """One of a data set's tiles; None if the user cancels."""
    name, accepted = QInputDialog.getItem(window(), "CoSynth", "Which tile?", list(names), 0, False)
    return str(name) if accepted else None
