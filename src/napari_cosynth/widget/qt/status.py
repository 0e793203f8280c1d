"""A line that says what happened: in full, however long its words are."""

from __future__ import annotations

import re

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy

_AFTER = re.compile(r"([/\\_.:=-])(?=\S)")
"""Where a name without spaces may go on in the next line."""


class Status:
    """As high as its text, and never lower than ``lines``, so that what is above stays in its place."""

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
