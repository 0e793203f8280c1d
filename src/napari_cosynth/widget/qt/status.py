"""A status text that is always shown in full, however long its words are."""

from __future__ import annotations

import re

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy

_AFTER = re.compile(r"([/\\_.:=-])(?=\S)")
"""Places in a name without spaces where a line may break."""


class Status:
    """Label as high as its text, at least ``lines`` lines, so that the widgets above do not move."""

    def __init__(self, lines: int = 1) -> None:
        self.native = QLabel()
        self.native.setWordWrap(True)
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.native.setSizePolicy(policy)
        self.native.setMinimumHeight(lines * self.native.fontMetrics().lineSpacing() + 4)
        self.native.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._text = ""

    @property
    def value(self) -> str:
        """The text."""
        return self._text

    @value.setter
    def value(self, text: str) -> None:
        self._text = text
        self.native.setText(_AFTER.sub("\\1\u200b", text))
        self.native.setToolTip(text)
