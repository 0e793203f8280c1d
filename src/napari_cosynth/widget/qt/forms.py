"""Forms of magicgui widgets: labels in a column, widgets beside them, unavailable choices greyed out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from magicgui.widgets import (
    CheckBox,
    ComboBox,
    FloatSpinBox,
    Label,
    LineEdit,
    PushButton,
    SpinBox,
    Widget,
)
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QFormLayout,
    QHBoxLayout,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

T = TypeVar("T")


def sure(value: T | None) -> T:
    """The value without None in its type: Qt's types allow None for parts that a widget always has."""
    assert value is not None
    return value


def form(*rows: tuple[str, Sequence[Widget]]) -> QWidget:
    """Form with labels in one column and widgets beside them; a magicgui container does not align them.

    The caller must keep the widgets: the returned QWidget owns only their Qt side.
    """
    native = QWidget()
    lines = QFormLayout(native)
    lines.setContentsMargins(0, 0, 0, 0)
    lines.setSpacing(4)
    lines.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for label, widgets in rows:
        lines.addRow(label, side_by_side(*widgets))
        for widget in widgets:
            if not widget.label:
                widget.native.setAccessibleName(label)
    return native


def column_in(parent: QWidget, sides: int = 0, ends: int = 0) -> QVBoxLayout:
    """Vertical layout of a widget; margins in pixels: ``sides`` left and right, ``ends`` above, below."""
    box = QVBoxLayout(parent)
    box.setContentsMargins(sides, ends, sides, ends)
    box.setSpacing(4)
    return box


def side_by_side(*widgets: Widget) -> QWidget:
    """Widgets in one line; drop-down lists may shrink, so that a dock fits a small screen."""
    line = QWidget()
    box = QHBoxLayout(line)
    box.setContentsMargins(0, 0, 0, 0)
    box.setSpacing(4)
    for widget in widgets:
        if isinstance(widget, (ComboBox, LineEdit)):
            widget.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            widget.native.setMinimumWidth(60)
        if isinstance(widget, (SpinBox, FloatSpinBox)):
            widget.native.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
            # napari's style sheet asks for 90 pixels; only the widget's own style sheet overrides it.
            widget.native.setStyleSheet("QAbstractSpinBox { min-width: 26px; }")
        # The name for screen readers. They read a button's text, but other widgets need a name.
        if not isinstance(widget, (CheckBox, Label, PushButton)):
            widget.native.setAccessibleName(str(widget.label))
        stretch = 2 if isinstance(widget, ComboBox) else 1
        box.addWidget(widget.native, 0 if isinstance(widget, (CheckBox, Label)) else stretch)
    return line


def offer(box: ComboBox, reason_against: Callable[[str], str]) -> None:
    """Greys out the choices that have a reason against them; the tooltip gives the reason."""
    model = box.native.model()
    for index, choice in enumerate(box.choices):
        reason = reason_against(str(choice))
        item = model.item(index)
        item.setEnabled(not reason)
        item.setData(reason, Qt.ItemDataRole.ToolTipRole)


def allow(button: PushButton, reason_against: str = "") -> None:
    """Enables a button; with a reason against it, disables it and adds the reason to its tooltip."""
    does = button.native.property("does")
    if does is None:
        does = str(button.tooltip or "")
        button.native.setProperty("does", does)
    button.enabled = not reason_against
    button.tooltip = f"{does}\n\nNot now: {reason_against}".strip() if reason_against else does
