"""What is put in beforehand: spacing by class and layout, µm/px by file and name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Points
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QDialogButtonBox

from napari_cosynth.known import layout_models
from napari_cosynth.layouts.drawn.spacing import violators
from napari_cosynth.layouts.gibbs.model import load_layout_model
from napari_cosynth.widget.docks.layout_dock import LayoutDock
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers.region import known_mpp
from napari_cosynth.widget.layout.usual import close, usual_sizes
from napari_cosynth.widget.qt.mpp_dialog import MppDialog


def test_spacing_follows_the_class_and_what_lies_there() -> None:
    nowhere = np.zeros((0, 2))
    assert usual_sizes(nowhere, None) == (5.0, 4.0)
    assert usual_sizes(nowhere, 12.75) == (5.0, 3.0)
    assert usual_sizes(nowhere, 80.0) == (13.0, 8.0)
    grid = 9.0 * np.stack(np.meshgrid(np.arange(6), np.arange(6)), -1).reshape(-1, 2)
    assert usual_sizes(grid, 12.75) == usual_sizes(grid, None) == (9.0, 5.5)
    assert usual_sizes(grid / 9, 12.75) == (3.0, 2.0)  # no nearer than nuclei of that size fit
    assert usual_sizes(grid[:19], 12.75) == (5.0, 3.0)


def test_the_brush_takes_the_class_sizes_until_the_user_says_otherwise(
    panel: CoSynthPanel, points: Points
) -> None:
    controls, tools = panel.layout_controls, panel.layout_controls.tools
    panel.model.use("default")
    sizes: dict[str, tuple[float, float]] = {}
    controls.new.native.click()
    for name in ("inflammatory", "malignant epithelial"):
        controls.editor.pick(name)
        sizes[name] = tools.spacing.value, tools.least.value
    assert sizes == {"inflammatory": (5.0, 3.0), "malignant epithelial": (7.0, 4.5)}
    tools.spacing.native.setValue(11.0)
    controls.editor.pick("inflammatory")
    assert (tools.spacing.value, tools.least.value) == (11.0, 4.5)


def test_what_the_model_of_layouts_draws_is_hardly_ever_too_near(panel: CoSynthPanel) -> None:
    panel.model.use("default")
    least = close(panel.model.facts.areas)
    model = load_layout_model(next(iter(layout_models())))
    for seed in range(2):
        drawn = model.sample((512, 512), seed, 0.5)
        assert violators(drawn.centroids.astype(float), least / 0.5).mean() < 0.06
    panel.layout_controls.new.native.click()
    dock = LayoutDock(panel.viewer)
    panel.viewer.window.add_dock_widget(dock, name="layout")
    assert dock.selection.least.value == least


def test_nothing_is_taken_for_granted_of_an_image_that_does_not_tell(qtbot: Any) -> None:
    dialog = MppDialog("bare")
    qtbot.addWidget(dialog)
    ok = dialog.buttons.button(QDialogButtonBox.StandardButton.Ok)
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert not ok.isEnabled() and dialog.result() != QDialog.DialogCode.Accepted
    dialog.powers["40x"].click()
    assert dialog.number.value() == 0.25 and ok.isEnabled()


@pytest.mark.parametrize(
    ("name", "mpp"), [("tile_40x", 0.25), ("case 12 20X", 0.5), ("140x", 0.0), ("10xyz", 0.0)]
)
def test_a_name_may_tell_the_magnification(name: str, mpp: float, qtbot: Any) -> None:
    dialog = MppDialog(name)
    qtbot.addWidget(dialog)
    assert dialog.number.value() == mpp


def test_an_image_s_file_is_asked_before_the_user(
    make_napari_viewer: Callable[..., Any], tmp_path: Path
) -> None:
    viewer = make_napari_viewer()
    pixels = np.zeros((40, 40, 3), np.uint8)
    for name, resolution in (("told", (40_000, 40_000)), ("bare", (1, 1))):
        unit = "CENTIMETER" if name == "told" else None
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(
            path, pixels, resolution=resolution, resolutionunit=unit, photometric="rgb"
        )
        viewer.open(path, plugin="napari")
    asked: list[str] = []
    assert known_mpp(viewer.layers["told"], asked.append) == pytest.approx(0.25)
    assert known_mpp(viewer.layers["bare"], asked.append) is None and asked == ["bare"]
