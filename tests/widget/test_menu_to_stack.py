"""From napari's menu to a saved stack, as a user does it: the real model, window and process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QFileDialog, QMenu

from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers import results

WAIT = 120_000
CANVAS = 64


def actions(menu: QMenu) -> list[QAction]:
    """All entries of a menu, those of its submenus too, once it has been opened."""
    menu.aboutToShow.emit()
    found = []
    for action in menu.actions():
        found.extend(actions(action.menu()) if action.menu() else [action])
    return found


def click(menu: QMenu, text: str) -> None:
    """Chooses the entry of this text, as a click does."""
    by_text = {action.text().replace("&", ""): action for action in actions(menu)}
    matching = [a for name, a in by_text.items() if name.startswith(text)]
    assert len(matching) == 1, sorted(by_text)
    matching[0].trigger()


def test_from_the_menu_to_a_saved_stack(
    make_napari_viewer: Callable[..., Any],
    qtbot: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer = make_napari_viewer()
    window = viewer.window
    click(window.plugins_menu, "CoSynth (CoSynth)")
    (panel,) = window._qt_window.findChildren(CoSynthPanel)
    assert panel.model.facts.name == "default"

    # New layout, points of two classes.
    controls = panel.layout_controls
    controls.height_px.value = controls.width_px.value = CANVAS
    controls.new.native.click()
    names = panel.model.facts.classes.names[1:3]
    drawn = {names[0]: [(12, 12), (12, 40), (30, 20)], names[1]: [(45, 15), (50, 48), (30, 50)]}
    for name, points in drawn.items():
        controls.legend.picked.emit(name)
        controls.points.add(points)
    assert controls.summary == "6 points"
    assert panel.bar.time.value == "time: known after the first run"

    # Synthesise, in the sampling process.
    panel.sampling.steps.value = 3
    panel.bar.synthesise.native.click()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)
    ((name, group),) = results.groups(viewer).items()
    assert panel.results.name == name
    assert "on cpu" in panel.bar.time.value or "on cuda" in panel.bar.time.value

    # Correct a nucleus: paint one in a corner, and say what it is.
    instances = group["instances"]
    free = int(instances.data.max()) + 1
    instances.mode = "paint"
    instances.brush_size = 8
    instances.paint((58, 6), free)
    panel.refine.new_class.value = names[1]
    panel.refine.update_rest.native.click()
    assert group["labels"].data[58, 6] == panel.model.facts.classes.index(names[1])

    # Save as training stack, through the dock.
    folder = tmp_path / "from the dock"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: (str(folder), ""))
    panel.refine.save.native.click()
    # The picture does not show the correction, which is asked about first.
    panel.refine.offer.buttons["Save as it is"].click()
    assert notification_manager.records[-1].message.startswith("saved in")
    agrees(folder, group, names)

    # And through File > Save: all its layers chosen, the format by its ending.
    viewer.layers.selection = {
        layer for layer in viewer.layers if layer.metadata.get("cosynth", {}).get("result") == name
    }
    second = tmp_path / "from the menu.cosynth"
    offered: list[str] = []

    def choose(*args: Any, **kwargs: Any) -> tuple[str, str]:
        offered.append(str(kwargs.get("filter", args)))
        chosen = next(f for f in offered[0].split(";;") if "cosynth" in f)
        return str(second), chosen

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    click(window.file_menu, "Save Selected Layers")
    assert "training stack" in offered[0]
    agrees(second, group, names)

    # Read back as layers.
    viewer.layers.clear()
    viewer.open(str(folder), plugin="napari-cosynth")
    (found,) = results.groups(viewer).values()
    assert set(found) == {"image", "labels", "instances", "distance"}
    assert panel.results.name == folder.name


def agrees(folder: Path, group: dict[str, Any], names: tuple[str, ...]) -> None:
    """What was saved is what the layers show, with the correction and the recipe."""
    (record,) = StackDataset(folder)
    (recipe,) = StackDataset(folder).samples
    for role in ("image", "labels", "instances"):
        np.testing.assert_array_equal(getattr(record, role), group[role].data)
    corrected = record.instances[58, 6]
    at = record.layout.class_ids[corrected - 1]
    assert record.classes.names[at] == names[1]
    assert recipe["checkpoint"] == "default" and recipe["steps"] == 3 and recipe["edited"]
