"""Repaint here: corrected labels are held and their pixels painted, and it is offered at saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Points
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QFileDialog

from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers import results

WAIT = 60_000


def wait(panel: CoSynthPanel, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)


def test_a_dropped_nucleus_goes_from_the_picture_and_the_stack_says_so(
    panel: CoSynthPanel, points: Points, qtbot: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *a, **k: (str(tmp_path / "stack"), "")
    )
    panel.bar.synthesise.native.click()
    wait(panel, qtbot)
    (name,) = results.groups(panel.viewer)
    layers = results.groups(panel.viewer)[name]
    before = layers["image"].data.copy()
    refine = panel.refine
    refine.repaint_here.native.click()
    assert "no label was corrected" in notification_manager.records[-1].message

    instances = layers["instances"]
    gone = instances.data == instances.data.max()
    instances.data_setitem(np.nonzero(gone), 0)
    refine.update_rest.native.click()
    refine.save.native.click()
    assert not refine.offer.isHidden() and not (tmp_path / "stack").exists()
    refine.offer.buttons["Repaint here"].click()
    assert panel.runner.busy
    wait(panel, qtbot)
    image = results.groups(panel.viewer)[name]["image"].data
    new = (image != before).any(2)
    assert new[gone].any()
    assert panel.bar.status.value.startswith("repainted in")
    assert list(results.groups(panel.viewer)) == [name]

    refine.save.native.click()  # the image shows the labels now
    assert refine.offer.isHidden()
    (record,) = StackDataset(tmp_path / "stack")
    (recipe,) = StackDataset(tmp_path / "stack").samples
    np.testing.assert_array_equal(record.image, image)
    assert recipe["edited"] and recipe["repainted"]["steps"] == 2
    refine.restore.native.click()
    np.testing.assert_array_equal(results.groups(panel.viewer)[name]["image"].data, before)
    assert (
        "repainted"
        not in results.groups(panel.viewer)[name]["image"].metadata["cosynth"]["recipes"][0]
    )


def test_it_may_be_saved_as_it_is(
    panel: CoSynthPanel, points: Points, qtbot: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *a, **k: (str(tmp_path / "stack"), "")
    )
    panel.bar.synthesise.native.click()
    wait(panel, qtbot)
    (layers,) = results.groups(panel.viewer).values()
    instances = layers["instances"]
    instances.data_setitem(np.nonzero(instances.data == instances.data.max()), 0)
    panel.refine.update_rest.native.click()
    panel.refine.save.native.click()
    panel.refine.offer.buttons["Save as it is"].click()
    (recipe,) = StackDataset(tmp_path / "stack").samples
    assert recipe["edited"] and "repainted" not in recipe
