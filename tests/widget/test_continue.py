"""Continue: a result's layout and settings become the form's, from the dock, the gallery or a stack."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Points
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt

from napari_cosynth.types import Request, Synthesis
from napari_cosynth.widget.docks.gallery_dock import GalleryDock
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.layout import layout_from

WAIT = 60_000


def sampled(panel: CoSynthPanel, qtbot: Any) -> Synthesis:
    made: list[Synthesis] = []
    panel.sampled.connect(made.append)
    panel.bar.synthesise.native.click()
    qtbot.waitUntil(lambda: not (panel.runner.busy or panel.gallery.busy), timeout=WAIT)
    return made[0]


def changed_form(panel: CoSynthPanel) -> None:
    """Another layout, and everything else in the form."""
    panel.layout_controls.new.native.click()
    panel.sampling.use("ancestral", 9)
    panel.sampling.guidance.value = 1.5
    panel.sampling.random.value = True
    panel.model.tissue.value = "any"
    panel.model.type_prompt("something else")


def same(first: Request, second: Request) -> bool:
    return first == dataclasses.replace(second, layout=first.layout)


def test_a_result_goes_on_where_it_was_made(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    panel.model.tissue.value, panel.sampling.guidance.value = "colon", 2.0
    panel.sampling.seed.value = 41
    made = sampled(panel, qtbot)
    changed_form(panel)
    qtbot.mouseClick(panel.results.go_on.native, Qt.MouseButton.LeftButton)
    assert panel.layout_controls.points is not points
    now = panel.form.request(panel.sampling.draw_seeds())
    assert same(now, made.request) and now.seeds == (41,)
    np.testing.assert_allclose(now.layout.centroids, made.request.layout.centroids)
    np.testing.assert_array_equal(now.layout.class_ids, made.request.layout.class_ids)
    panel.bar.synthesise.native.click()  # nothing has changed, so it would be the same pixels
    assert panel.bar.offer.text.value.startswith("layout #41 has these very settings")


def test_the_gallery_continues_what_is_no_longer_in_the_viewer(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    dock = GalleryDock(panel.viewer)
    panel.viewer.window.add_dock_widget(dock, name="gallery")
    made = sampled(panel, qtbot)
    panel.results.discard.native.click()
    panel.viewer.layers.remove(points)
    panel.model.type_prompt("something else")
    dock.view.selectionModel().select(
        dock.gallery.index(0), dock.view.selectionModel().SelectionFlag.Select
    )
    dock.go_on.native.click()
    qtbot.waitUntil(lambda: panel.layout_controls.points is not None, timeout=WAIT)
    now = panel.form.request(panel.sampling.draw_seeds())
    assert same(now, made.request)
    laid = layout_from(panel.layout_controls.points)
    np.testing.assert_allclose(laid.centroids, made.request.layout.centroids)


def test_what_cannot_be_had_again_is_said(
    panel: CoSynthPanel, points: Points, qtbot: Any, tmp_path: Path
) -> None:
    sampled(panel, qtbot)
    (layers,) = results.groups(panel.viewer).values()
    for layer in layers.values():
        tag = layer.metadata["cosynth"]
        gone = {"checkpoint": "lost", "tissue": "moon", "sampler": "few"}
        layer.metadata["cosynth"] = {
            **tag,
            "recipes": [{**dict(r), **gone} for r in tag["recipes"]],
        }
    panel.results.go_on.native.click()
    message = notification_manager.records[-1].message
    for part in ("no checkpoint lost", "no tissue moon", "no sampler few"):
        assert part in message
