"""Results of the gallery side by side under their names, as they are now; enlarged and moved together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Points
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QImage, QWheelEvent
from qtpy.QtWidgets import QApplication

from killed_sessions import made
from napari_cosynth.widget.docks.gallery_dock import GalleryDock
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.gallery.comparison import Comparison, Linked
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.layout import placement_from

WAIT = 60_000


@pytest.fixture
def dock(panel: CoSynthPanel, points: Points, qtbot: Any) -> GalleryDock:
    """A gallery of three samples."""
    dock = GalleryDock(panel.viewer)
    panel.viewer.window.add_dock_widget(dock, name="gallery")
    layout = panel.layout_controls.layout_now()
    for seed in range(3):
        sample = made(layout, seed)
        dock.gallery.record(sample, "layout", placement_from(points), f"layout #{seed}")
    qtbot.waitUntil(lambda: not dock.gallery.busy, timeout=WAIT)
    return dock


def compare(dock: GalleryDock, qtbot: Any, *rows: int) -> Comparison:
    chosen = dock.view.selectionModel()
    for row in rows:
        chosen.select(dock.gallery.index(row), chosen.SelectionFlag.Select)
    dock.compare.native.click()
    qtbot.waitUntil(lambda: dock.comparison is not None, timeout=WAIT)
    dialog = dock.comparison
    assert dialog is not None
    qtbot.waitExposed(dialog)
    return dialog


def pixels(image: QImage) -> np.ndarray:
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    rows = rows.reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)


def wheel(view: Linked, at: QPoint, notches: int) -> None:
    event = QWheelEvent(
        QPointF(at),
        QPointF(view.mapToGlobal(at)),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(view, event)


def test_chosen_results_stand_under_their_names_as_they_are_now(
    dock: GalleryDock, qtbot: Any
) -> None:
    assert not dock.compare.enabled and "select several" in dock.compare.tooltip
    dock.gallery.keep([2], True)
    dock.gallery.note(2, "the best")
    dock.gallery.show(0)
    qtbot.waitUntil(lambda: bool(results.groups(dock.viewer)), timeout=WAIT)
    layers = results.groups(dock.viewer)["layout #0"]
    layers["labels"].paint((3, 3), 2)
    layers["image"].data = 255 - layers["image"].data
    dialog = compare(dock, qtbot, 0, 2)
    assert [name.text() for name in dialog.names] == ["layout #0", "layout #2 ✓\nthe best"]
    record = dock.gallery._session.read(dock.gallery.items[2].number).record
    first, second = (pixels(view.image) for view in dialog.views)
    np.testing.assert_array_equal(first, layers["image"].data)
    np.testing.assert_array_equal(second, record.image)
    dialog.outlines.click()
    outlined = (pixels(dialog.views[1].image) != record.image).any(2)
    assert outlined.any() and (record.instances[outlined] > 0).all()
    dialog.close()


def test_all_are_enlarged_and_moved_together_and_one_is_shown_in_the_viewer(
    dock: GalleryDock, qtbot: Any
) -> None:
    dialog = compare(dock, qtbot, 0, 1, 2)
    one, other, _ = dialog.views
    assert one.seen.width() == one.image.width()  # all of it
    middle = one.rect().center()
    wheel(one, middle, -3)
    assert one.seen.width() == one.image.width()
    wheel(one, middle, 4)
    width = one.seen.width()
    assert width == pytest.approx(one.image.width() / 1.2**4) and one.seen == other.seen
    assert one.seen.center().x() == pytest.approx(one.image.width() / 2, abs=1)
    qtbot.mousePress(other, Qt.MouseButton.LeftButton, pos=middle)
    for step in (5, 10):
        qtbot.mouseMove(other, middle + QPoint(step, 0))
    qtbot.mouseRelease(other, Qt.MouseButton.LeftButton, pos=middle + QPoint(10, 0))
    qtbot.waitUntil(lambda: one.seen.center().x() < one.image.width() / 2 - 0.5)
    assert one.seen == other.seen and one.seen.width() == pytest.approx(width)
    qtbot.mouseDClick(other, Qt.MouseButton.LeftButton, pos=middle)
    qtbot.waitUntil(lambda: "layout #1" in results.groups(dock.viewer), timeout=WAIT)
    dialog.close()
