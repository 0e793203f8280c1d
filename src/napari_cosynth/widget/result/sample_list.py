"""List of a viewer's results and samples, with a tick at each that is kept."""

from __future__ import annotations

from typing import TypeAlias

from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from napari_cosynth.widget.layers import results
from napari_cosynth.widget.qt.forms import sure
from napari_cosynth.widget.result.saving import NEEDED

Key: TypeAlias = tuple[str, int]
"""A result's name and the number of a sample in it."""
_KEY_ROLE = Qt.ItemDataRole.UserRole


def samples_in(viewer: ViewerModel) -> list[Key]:
    """Every sample of every complete result, oldest first."""
    found: list[Key] = []
    for name, layers in results.groups(viewer).items():
        if set(NEEDED) <= set(layers):
            labels = layers["labels"]
            found += [(name, i) for i in range(len(labels.data) if labels.ndim == 3 else 1)]
    return found


class SampleList(QListWidget):
    """List with one line per sample; the current one is shown, those with a tick are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Results and samples")
        self.setToolTip("Results and samples; those with a tick are saved")
        self._fit()

    def _items(self) -> list[QListWidgetItem]:
        return [sure(self.item(row)) for row in range(self.count())]

    @property
    def keys(self) -> list[Key]:
        return [item.data(_KEY_ROLE) for item in self._items()]

    @property
    def key(self) -> Key | None:
        """The current sample; None if there is none."""
        item = self.currentItem()
        return None if item is None else item.data(_KEY_ROLE)

    @property
    def kept(self) -> list[Key]:
        """The samples with a tick."""
        ticked = Qt.CheckState.Checked
        return [item.data(_KEY_ROLE) for item in self._items() if item.checkState() == ticked]

    def offer(self, there: list[Key]) -> bool:
        """Lists these samples. A new one becomes the current one; samples without a tick stay without.

        False if they are listed already.
        """
        before, chosen = self.keys, self.key
        if there == before:
            return False
        without = set(before) - set(self.kept)
        self.blockSignals(True)
        self.clear()
        for name, sample in there:
            item = QListWidgetItem(f"{name}: sample {sample}" if (name, 1) in there else name)
            item.setData(_KEY_ROLE, (name, sample))
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            ticked = (name, sample) not in without
            item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
            self.addItem(item)
        new = [key for key in there if key not in before]
        if there:
            self.setCurrentRow(
                there.index(new[0] if new else chosen if chosen in there else there[-1])
            )
        self.blockSignals(False)
        self._fit()
        return True

    def _fit(self) -> None:
        """Sets the height to that of the lines, at most five."""
        line = max(self.sizeHintForRow(0), 20)
        self.setFixedHeight(line * min(max(self.count(), 1), 5) + 6)

    def choose(self, key: Key) -> None:
        """Makes a sample the current one."""
        if key in self.keys:
            self.setCurrentRow(self.keys.index(key))

    def tick(self, key: Key, on: bool) -> None:
        """Keeps a sample, or leaves it out."""
        state = Qt.CheckState.Checked if on else Qt.CheckState.Unchecked
        sure(self.item(self.keys.index(key))).setCheckState(state)
