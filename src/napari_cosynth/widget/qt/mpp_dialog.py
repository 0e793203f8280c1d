"""Dialog for the µm/px of an image whose file has none; no default: the size of nuclei depends on it."""

from __future__ import annotations

import re

from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_cosynth.widget.qt.forms import sure

POWERS = {"40x": 0.25, "20x": 0.5, "10x": 1.0}
"""Magnification -> the µm/px that scanners usually have at it."""
_POWER = re.compile(r"(?<![0-9a-z])(10|20|40)x(?![0-9a-z])", re.IGNORECASE)


class MppDialog(QDialog):
    """Dialog with a number, and buttons that enter the usual value of a magnification.

    The number is empty at first, unless the image's name contains its magnification.
    """

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("CoSynth")
        self.number = QDoubleSpinBox()
        self.number.setDecimals(4)
        self.number.setRange(0.0, 100.0)
        self.number.setSingleStep(0.05)
        self.number.setSpecialValueText("µm/px")
        self.powers = {power: QPushButton(power) for power in POWERS}
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        row = QHBoxLayout()
        row.addWidget(self.number, 1)
        for power, button in self.powers.items():
            button.setAutoDefault(False)
            button.setToolTip(f"{POWERS[power]:g} µm/px")
            button.clicked.connect(lambda _, mpp=POWERS[power]: self.number.setValue(mpp))
            row.addWidget(button)
        box = QVBoxLayout(self)
        box.addWidget(QLabel(f"{name}: micrometres per pixel? The file does not tell."))
        box.addLayout(row)
        box.addWidget(self.buttons)
        self.number.valueChanged.connect(self._show)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        if told := _POWER.search(name.replace("_", " ")):
            self.number.setValue(POWERS[told[0].lower()])
        self.number.selectAll()
        self._show()

    def _show(self) -> None:
        known = self.number.value() > 0
        sure(self.buttons.button(QDialogButtonBox.StandardButton.Ok)).setEnabled(known)
