"""The dock's form: a scrolling column of sections that can be folded away."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_cosynth.widget.qt.forms import sure


class Section(QWidget):
    """A heading with a one-line summary over a body; a click on the heading folds the body."""

    def __init__(self, title: str, body: QWidget, folded: bool = False) -> None:
        super().__init__()
        self.body = body
        self.heading = QToolButton()
        self.heading.setText(title)
        self.heading.setToolTip(f"Show or hide {title}")
        self.heading.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.heading.setAutoRaise(True)
        self.heading.setCheckable(True)
        # Only the widget's own style sheet overrides napari's.
        self.heading.setStyleSheet(
            "QToolButton { border: none; background: transparent; padding: 0px; font-weight: bold; }"
        )
        self._summary = QLabel()
        self._summary.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(8)
        line.addWidget(self.heading)
        line.addWidget(self._summary, 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        box.addLayout(line)
        box.addWidget(body)
        self.heading.toggled.connect(self._show)
        self.heading.setChecked(not folded)
        self._show(not folded)

    @property
    def summary(self) -> str:
        return str(self._summary.text())

    @property
    def folded(self) -> bool:
        return not self.heading.isChecked()

    def summarise(self, text: str) -> None:
        """Sets the text beside the title, which shows the settings while the section is folded."""
        self._summary.setText(text)
        self._summary.setToolTip(text)

    def _show(self, opened: bool) -> None:
        self.heading.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)
        self.body.setVisible(opened)


class Column(QScrollArea):
    """Sections one above the other; scrolls vertically, never horizontally."""

    def __init__(self, *sections: QWidget) -> None:
        super().__init__()
        form = QWidget()
        column = QVBoxLayout(form)
        column.setContentsMargins(2, 2, 2, 2)
        column.setSpacing(6)
        for section in sections:
            column.addWidget(section)
        column.addStretch(1)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(form)

    def minimumSizeHint(self) -> QSize:
        form, bar = sure(self.widget()), sure(self.verticalScrollBar())
        return QSize(form.minimumSizeHint().width() + bar.sizeHint().width(), 120)
