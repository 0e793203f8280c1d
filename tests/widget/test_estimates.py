"""What is seen before a sample is finished: it is never saved, and never left behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Points

from napari_cosynth.types import Progress
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers.layout import placement_from
from napari_cosynth.widget.layers.results import blank_layers, groups
from napari_cosynth.widget.result.result_view import ResultView, insert_below_points
from napari_cosynth.widget.result.saving import described_samples


def test_an_estimate_is_not_saved_and_gives_way_to_the_last_sample(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    made: list[Any] = []
    panel.sampled.connect(made.append)
    panel.start()
    qtbot.waitUntil(lambda: bool(made) and not panel.runner.busy, timeout=20_000)
    sample = made[-1]
    view = ResultView(panel.viewer, placement_from(points), sample.record.classes, "estimated")
    view.show_sample(sample)
    view.show_estimate(Progress(0, 0, 1, 1, 6, np.zeros((64, 64, 3), np.uint8)))
    layers = groups(panel.viewer)["estimated"]
    assert not layers["image"].data.any()
    tuples = [layer.as_layer_data_tuple() for layer in layers.values()]
    with pytest.raises(ValueError, match="estimated: it is being sampled"):
        described_samples(tuples)
    view.settle()
    np.testing.assert_array_equal(layers["image"].data, sample.record.image)
    assert described_samples([layer.as_layer_data_tuple() for layer in layers.values()])


def test_a_layer_comes_in_without_touching_the_selection(
    panel: CoSynthPanel, points: Points
) -> None:
    viewer, classes = panel.viewer, panel.model.facts.classes
    other = viewer.add_points(np.zeros((1, 2)), name="other")
    for chosen in ({points}, {points, other}):
        viewer.layers.selection.clear()
        viewer.layers.selection.update(chosen)
        active = viewer.layers.selection.active
        for layer in blank_layers(placement_from(points), classes, "new").values():
            insert_below_points(viewer, layer)
        assert set(viewer.layers.selection) == chosen
        assert viewer.layers.selection.active is active
    assert viewer.layers[-1] is other and viewer.layers[-2] is points
