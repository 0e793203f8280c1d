"""Every dock by keyboard, by name and by form: what a person who sees or points otherwise needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from napari.utils.theme import get_theme
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor, QImage, QPixmap, QRegion
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QScrollBar,
    QTextEdit,
    QWidget,
)
from skimage.color import rgb2lab

from napari_cosynth.types.classes import BUNDLED
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers.appearance import SYMBOLS, rgba, seen_colors
from napari_cosynth.widget.layout.legend import _CORNERS
from napari_cosynth.widget.qt.column import Section

DOCKS = ("CoSynth", "CoSynth layout", "CoSynth gallery", "CoSynth quality")
CONTROLS = (
    QAbstractButton, QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit,
    QPlainTextEdit, QTextEdit,
)  # fmt: skip


def controls(dock: QWidget) -> Iterator[QWidget]:
    """What a person can work on in a dock; not the parts that such a control is made of."""
    for widget in dock.findChildren(QWidget):
        if not isinstance(widget, CONTROLS) or isinstance(widget, (QScrollBar, QHeaderView)):
            continue
        parent = widget.parentWidget()
        while parent is not None and parent is not dock and not isinstance(parent, CONTROLS):
            parent = parent.parentWidget()
        if parent is dock and widget.window() is dock.window():
            yield widget


def called(widget: QWidget) -> str:
    """What a screen reader says of a control."""
    text = widget.text() if isinstance(widget, QAbstractButton) else ""
    return str(widget.accessibleName() or text).strip()


def described(widget: QWidget) -> str:
    return f"{type(widget).__name__} {called(widget)!r} ({widget.toolTip()[:40]!r})"


@pytest.fixture
def docks(make_napari_viewer: Any, panel: CoSynthPanel, points: Any) -> dict[str, QWidget]:
    """Each dock as the plugin menu opens it, unfolded, with a layout in the viewer."""
    viewer = panel.viewer
    opened = {
        name: viewer.window.add_plugin_dock_widget("napari-cosynth", name)[0].widget()
        for name in DOCKS
    }
    for dock in opened.values():
        for section in dock.findChildren(Section):
            section.heading.setChecked(True)
    QApplication.processEvents()
    return opened


def test_every_control_has_a_name_a_tooltip_and_the_tab_key(docks: dict[str, QWidget]) -> None:
    found = {name: list(controls(dock)) for name, dock in docks.items()}
    assert [len(widgets) > 8 for widgets in found.values()] == [True] * 4
    for name, widgets in found.items():
        for widget in widgets:
            assert called(widget), f"{name}: {described(widget)}: no accessible name"
            assert widget.toolTip(), f"{name}: {described(widget)}: no tooltip"
            tab = Qt.FocusPolicy.TabFocus.value & widget.focusPolicy().value
            assert tab, f"{name}: {described(widget)}: the Tab key passes it over"


@pytest.mark.parametrize("name", DOCKS)
def test_the_tab_key_comes_to_every_control_and_leaves_it(docks: dict, name: str) -> None:
    dock = docks[name]
    dock.window().show()
    dock.parentWidget().raise_()
    QApplication.processEvents()
    wanted = {w for w in controls(dock) if w.isEnabled() and w.isVisible()}
    assert len(wanted) > 4
    window = dock.window()
    first = min(wanted, key=lambda w: w.mapTo(window, QPoint(0, 0)).y())
    first.setFocus(Qt.FocusReason.TabFocusReason)
    reached = set()
    for _ in range(400):
        current = window.focusWidget()
        reached.add(current)
        QTest.keyClick(current, Qt.Key.Key_Tab)
        if window.focusWidget() is first:
            break
    missing = wanted - reached
    assert not missing, "; ".join(map(described, missing))


def contrast(pixels: np.ndarray) -> float:
    """WCAG's ratio between the lightest and the darkest of some pixels, uint8 (..., 3)."""
    linear = np.where((x := pixels / 255) <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    return float((luminance.max() + 0.05) / (luminance.min() + 0.05))


def picture(widget: QWidget, ground: QColor) -> np.ndarray:
    """A widget as it is drawn on a dock's ground, uint8 (H, W, 3)."""
    drawn = QPixmap(widget.size())
    drawn.fill(ground)
    widget.render(drawn, QPoint(), QRegion(), QWidget.RenderFlag.DrawChildren)
    image = drawn.toImage().convertToFormat(QImage.Format.Format_RGB32)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    data = np.frombuffer(bits, np.uint8).copy()  # before the image goes
    return data.reshape(image.height(), image.bytesPerLine() // 4, 4)[:, : image.width(), 2::-1]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_stand_out_from_their_ground_in_both_themes(
    docks: dict[str, QWidget], panel: CoSynthPanel, theme: str
) -> None:
    panel.viewer.theme = theme
    QApplication.processEvents()
    ground = QColor(*get_theme(theme).background.as_rgb_tuple())
    seen = 0
    for name, dock in docks.items():
        for widget in dock.findChildren(QWidget):
            words = isinstance(widget, (QLabel, QAbstractButton)) and widget.text().strip()
            if words and widget.isEnabled() and widget.isVisibleTo(dock) and widget.width() > 8:
                seen += 1
                assert contrast(picture(widget, ground)) >= 4.5, f"{name}: {described(widget)}"
    assert seen > 40


BLIND = {
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
"""Machado et al. 2009, severity 1, on linear RGB."""


@pytest.mark.parametrize("kind", BLIND)
def test_the_bundled_classes_are_told_apart_without_a_kind_of_cone(kind: str) -> None:
    """Their colours differ by several times what can just be seen (CIELAB, about 2)."""
    colors = seen_colors(BUNDLED)[1:] / 255
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    left = np.clip(linear @ np.array(BLIND[kind]).T, 0, 1)
    lab = rgb2lab(np.where(left <= 0.0031308, left * 12.92, 1.055 * left ** (1 / 2.4) - 0.055))
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + 1e9 * np.eye(len(lab))
    assert apart.min() > 10, apart.round(1)


def forms(layer: Any) -> list[str]:
    return [str(symbol.value) for symbol in layer.symbol]


def test_classes_differ_in_form_too(panel: CoSynthPanel, points: Any) -> None:
    """As they are, added, re-tagged, outside and back."""
    assert len(set(SYMBOLS)) == len(SYMBOLS) >= len(BUNDLED) - 1
    assert set(_CORNERS) == set(SYMBOLS) - {"disc"}
    assert forms(points) == ["disc", "square", "triangle_up", "square"]  # classes 1, 2, 3, 2
    editor = panel.layout_controls.editor
    editor.pick("spindle-shaped")
    points.add([[30, 30]])
    assert forms(points)[-1] == "triangle_up"
    assert np.allclose(points.face_color[-1], rgba(editor.classes)[3])
    points.selected_data = {0}
    points.current_properties = {"class": np.array(["epithelial"])}
    assert forms(points) == ["square", "square", "triangle_up", "square", "triangle_up"]
    panel.layout_controls.undo.native.click()
    assert forms(points)[0] == "disc"
    points.data = np.vstack([[[-90, 5]], points.data[1:]])
    assert forms(points)[:2] == ["x", "square"]
    swatches = [
        panel.layout_controls.legend.item(row, 0).icon().pixmap(14).toImage() for row in range(3)
    ]
    drawn = [[s.pixelColor(x, 2).alpha() for x in range(14)] for s in swatches]
    assert len({tuple(row) for row in drawn}) == 3
