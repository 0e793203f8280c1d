"""Two dialogs: one for a data set's kind and folder, one for a tile of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QIcon, QImage, QPixmap, QResizeEvent
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QListView,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
)

from napari_cosynth import registry
from napari_cosynth.records.base import Dataset, NamedRecords
from napari_cosynth.widget.qt.forms import sure
from napari_cosynth.widget.qt.questions import window
from napari_cosynth.widget.qt.thumbnails import small_picture
from napari_cosynth.widget.run.background import Background

THUMBNAIL = 112
"""Side of a thumbnail in pixels."""
CELL = QSize(THUMBNAIL + 16, THUMBNAIL + 28)
"""Size of a thumbnail with its name below."""


class DatasetDialog(QDialog):
    """Dialog that asks for a kind of data set and its folder."""

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
    """The registered kind and the folder that the user chooses; None if the user cancels."""
    dialog = DatasetDialog()
    accepted = dialog.exec() == QDialog.DialogCode.Accepted
    return dialog.choice if accepted else None


class TileDialog(QDialog):
    """Dialog with the tiles of a data set as pictures, read in the background as they come into view."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(window())
        self.setWindowTitle("Which tile?")
        self.resize(5 * CELL.width() + 40, 4 * CELL.height())
        self._dataset = dataset
        self._asked: set[int] = set()
        self._reader = Background("tiles")
        self.tiles = QListWidget()
        self.tiles.setViewMode(QListView.ViewMode.IconMode)
        self.tiles.setResizeMode(QListView.ResizeMode.Adjust)
        self.tiles.setMovement(QListView.Movement.Static)
        self.tiles.setIconSize(QSize(THUMBNAIL, THUMBNAIL))
        self.tiles.setGridSize(CELL)
        self.tiles.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        blank = QPixmap(THUMBNAIL, THUMBNAIL)
        blank.fill(QColor(128, 128, 128))
        for name in dataset.names:
            item = QListWidgetItem(QIcon(blank), name, self.tiles)
            item.setToolTip(name)
        self.tiles.setCurrentRow(0)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        rows = QVBoxLayout(self)
        rows.addWidget(QLabel(f"{len(dataset.names):,} tiles; a letter goes to the next name"))
        rows.addWidget(self.tiles)
        rows.addWidget(self.buttons)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.tiles.itemActivated.connect(lambda _: self.accept())
        sure(self.tiles.verticalScrollBar()).valueChanged.connect(lambda _: self._read_next())
        self.finished.connect(lambda _: self._reader.close())

    @property
    def choice(self) -> str | None:
        """The current tile's name; None if the data set has no tiles."""
        item = self.tiles.currentItem()
        return None if item is None else str(item.text())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._read_next()

    def _in_view(self) -> range:
        """Rows of the tiles that are in view, computed from the grid."""
        shown = sure(self.tiles.viewport()).size()
        columns = max(1, shown.width() // CELL.width())
        first = sure(self.tiles.verticalScrollBar()).value() // CELL.height() * columns
        lines = shown.height() // CELL.height() + 2
        return range(first, min(first + lines * columns, self.tiles.count()))

    def _read_next(self) -> None:
        """Reads the first picture in view that was not read yet; each answer starts the next read."""
        row = next((row for row in self._in_view() if row not in self._asked), None)
        if row is None or self._reader.busy:
            return
        self._asked.add(row)
        self._reader.do(
            partial(_thumbnail, self._dataset, row),
            partial(self._show_picture, row),
            partial(self._show_error, row),
        )

    def _show_picture(self, row: int, picture: QImage) -> None:
        sure(self.tiles.item(row)).setIcon(QIcon(QPixmap.fromImage(picture)))
        self._read_next()

    def _show_error(self, row: int, error: Exception) -> None:
        sure(self.tiles.item(row)).setToolTip(" ".join(str(error).split()) or type(error).__name__)
        self._read_next()


def _thumbnail(dataset: Dataset, row: int) -> QImage:
    """A tile's thumbnail; skips making the whole record if the data set can read the image alone."""
    if isinstance(dataset, NamedRecords):
        return small_picture(dataset.parts(dataset.names[row]).image, THUMBNAIL)
    return small_picture(dataset[row].image, THUMBNAIL)


def ask_tile(dataset: Dataset) -> str | None:
    """Name of the tile that the user chooses; None if the user cancels."""
    dialog = TileDialog(dataset)
    accepted = dialog.exec() == QDialog.DialogCode.Accepted
    return dialog.choice if accepted else None
