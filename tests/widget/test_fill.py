"""Fill region in a real viewer, by the bundled layout model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from napari_cosynth.layouts.drawn.patterns import bundled_layouts
from napari_cosynth.layouts.gibbs.model import load_layout_model
from napari_cosynth.types import ClassTable, Layout
from napari_cosynth.widget.docks.layout_dock import LayoutDock
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers.layout import layout_from
from napari_cosynth.widget.layers.placement import free_placement
from napari_cosynth.widget.layout.fill import SHAPE, shape_mask

WAIT = 120_000


@pytest.fixture
def dock(panel: CoSynthPanel) -> LayoutDock:
    dock = LayoutDock(panel.viewer)
    panel.viewer.window.add_dock_widget(dock, name="layout tools")
    layout = bundled_layouts()["gland"].layout
    panel.layout_controls.add_layout(free_placement(layout.shape, layout.mpp, []), layout)
    return dock


def test_without_a_layout_there_is_nothing_to_fill(dock: LayoutDock) -> None:
    assert dock.fill.fill.native.isEnabled()
    dock.viewer.layers.clear()
    assert not dock.fill.fill.native.isEnabled()


def test_a_shape_is_filled_as_the_model_draws_it(dock: LayoutDock, qtbot: Any) -> None:
    layer = dock.controls.points
    before = layout_from(layer)
    corners = np.array([[20, 20], [20, 230], [200, 230], [200, 20]]) * layer.scale
    dock.viewer.add_shapes([corners], shape_type="rectangle", units=layer.units, name="region")
    dock.viewer.layers.selection.active = layer
    dock.fill.region.value = SHAPE
    dock.fill.seed.value = 4
    dock.fill.fill.native.click()
    qtbot.waitUntil(lambda: not dock.fill.busy, timeout=WAIT)
    drawn = layout_from(layer)
    region = shape_mask(dock.viewer, layer)
    assert region[21:200, 21:230].all() and not region[:20].any() and not region[:, 231:].any()
    at = np.floor(before.centroids + 0.5).astype(int)
    stayed = before.centroids[~region[tuple(at.T)]]
    np.testing.assert_array_equal(drawn.centroids[: len(stayed)], stayed)
    assert len(drawn) > len(stayed)
    wanted = load_layout_model("default").sample(
        before.shape, 4, before.mpp, region=region, existing=before
    )
    np.testing.assert_array_equal(drawn.centroids, wanted.centroids)
    np.testing.assert_array_equal(drawn.class_ids, wanted.class_ids)
    assert dock.fill.seed.value == 5
    dock.undo.native.click()
    np.testing.assert_array_equal(layout_from(layer).centroids, before.centroids)
    assert not dock.controls.editor.history.can_undo


def test_the_whole_canvas_is_filled_in_the_layouts_own_classes(
    panel: CoSynthPanel, qtbot: Any
) -> None:
    """In the place of the points that are there, whose table has the model's classes in another order."""
    dock = LayoutDock(panel.viewer)
    panel.viewer.window.add_dock_widget(dock, name="layout tools")
    names = bundled_layouts()["gland"].layout.classes.names[1:]
    layout = Layout([[5, 5], [90, 80]], [1, 2], (96, 96), 0.5, ClassTable.of(*reversed(names)))
    layer = panel.layout_controls.add_layout(free_placement(layout.shape, 0.5, []), layout)
    dock.fill.seed.value = 4
    dock.fill.fill.native.click()
    qtbot.waitUntil(lambda: not dock.fill.busy, timeout=WAIT)
    assert "points drawn by default" in notification_manager.records[-1].message
    drawn = layout_from(layer)
    model = load_layout_model("default")
    shares = np.bincount(drawn.class_ids, minlength=len(drawn.classes))
    known = {drawn.classes.index(name) for name in model.tissue("").classes}
    assert len(drawn) > 5 and set(np.flatnonzero(shares)) <= known
    dock.undo.native.click()
    np.testing.assert_array_equal(layout_from(layer).centroids, layout.centroids)


def test_no_shape_is_one_line(dock: LayoutDock) -> None:
    dock.fill.region.value = SHAPE
    dock.fill.fill.native.click()
    assert notification_manager.records[-1].message.startswith("no region")
    assert not dock.fill.busy
