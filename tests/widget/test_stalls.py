"""What would stop the window while samples come in: full collections, drawings that nobody needs."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
from napari.layers import Labels, Points
from qtpy.QtCore import QEvent, QObject

from napari_cosynth.types import Progress
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers.layout import class_table_of, placement_from
from napari_cosynth.widget.layers.results import groups
from napari_cosynth.widget.result.result_view import BEFORE_PICTURE, ResultView

WAIT = 60_000


def sampled(panel: CoSynthPanel, qtbot: Any) -> dict[str, Any]:
    panel.start()
    qtbot.waitUntil(lambda: not panel.runner.busy and not panel.gallery.busy, timeout=WAIT)
    return next(reversed(groups(panel.viewer).values()))


def drawings(panel: CoSynthPanel, layer: Labels) -> set[str]:
    """Names of a layer's drawings that napari has built."""
    canvas = panel.viewer.window._qt_viewer.canvas
    built = canvas._layer_overlay_to_visual[layer]
    return {name for name, overlay in layer._overlays.items() if overlay in built}


def test_a_results_drawings_are_built_when_their_tool_is_chosen(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    layers = sampled(panel, qtbot)
    layer = layers["instances"]
    for role in ("labels", "instances"):
        assert not drawings(panel, layers[role]) & {"polygon", "brush_stroke"}
    panel.viewer.layers.selection.active = layer
    layer.mode = "polygon"
    assert drawings(panel, layer) & {"polygon", "brush_stroke"} == {"polygon"}
    corners = np.array([[5.0, 5.0], [5.0, 15.0], [15.0, 15.0], [15.0, 5.0]])
    layer.selected_label = 99
    layer._overlays["polygon"].points = corners.tolist()
    layer._overlays["polygon"].add_polygon_to_labels(layer)
    assert (layer.data == 99).sum() > 80
    assert layer.data[10, 10] == 99
    layer.mode = "paint"
    layer.mode = "pan_zoom"
    assert "polygon" in drawings(panel, layer)


def test_a_results_layers_come_in_one_by_one_and_none_delays_its_first_picture(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    placement, classes = placement_from(points), class_table_of(points)
    view = ResultView(panel.viewer, placement, classes, "mine")

    def there() -> list[str]:
        return [role for role, layer in view.layers.items() if layer in panel.viewer.layers]

    qtbot.waitUntil(lambda: len(there()) == BEFORE_PICTURE)
    assert there() == ["image", "distance"] and not view._timer.isActive()
    height, width = placement.shape
    image = np.full((height, width, 3), 128, np.uint8)
    view.show_progress(
        Progress(7, 0, 1, 1, 2, image=image, labels=np.zeros((height, width), np.uint8))
    )
    assert view.layers["image"].visible and view.layers["image"].data is image
    qtbot.waitUntil(lambda: there() == ["image", "distance", "labels", "instances"])
    view.remove()
    assert there() == []


def test_a_run_has_its_first_layers_before_its_first_picture(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    panel.start()
    ((job, _),) = panel.runs.undone()
    assert job.view is not None and job.view.view is not None
    panel.runs.stop()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)
    assert not groups(panel.viewer) and len(panel.viewer.layers) == 1


def test_while_a_run_goes_on_only_new_objects_are_collected(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    during: list[int] = []
    panel.runner.progressed.connect(lambda _: during.append(gc.get_freeze_count()))
    sampled(panel, qtbot)
    assert during and min(during) > 0
    assert gc.get_freeze_count() == 0


def test_with_live_on_only_new_objects_are_collected_until_it_is_off(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    panel.sampling.live.value = True
    with qtbot.waitSignal(panel.live.shown, timeout=WAIT):
        pass
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)
    assert gc.get_freeze_count() > 0
    panel.sampling.live.value = False
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)
    assert gc.get_freeze_count() == 0


def test_filling_the_progress_bar_does_not_draw_the_window(panel: CoSynthPanel, qtbot: Any) -> None:
    bar = panel.bar.progress.native
    panel.viewer.window._qt_window.show()
    qtbot.waitExposed(panel.viewer.window._qt_window)
    drawn: list[int] = []

    class Filter(QObject):
        def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
            if event is not None and event.type() == QEvent.Type.Paint:
                drawn.append(bar.value())
            return False

    watch = Filter()
    bar.installEventFilter(watch)
    panel.bar._fill(10, 100)
    qtbot.waitUntil(lambda: bool(drawn), timeout=WAIT)
    drawn.clear()
    panel.bar._fill(60)
    assert not drawn and bar.value() == 60
    qtbot.waitUntil(lambda: drawn[-1:] == [60], timeout=WAIT)
