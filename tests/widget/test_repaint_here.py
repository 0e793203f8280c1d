"""Repaint here: corrected labels are held and their pixels painted, and it is offered at saving."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Points
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QFileDialog
from scipy.ndimage import maximum_filter

from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.synthesis.repaint import NEAR
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.docks.quality import QualityPanel
from napari_cosynth.widget.layers import results

WAIT = 60_000


def wait(panel: CoSynthPanel, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)


def smallest(quality: QualityPanel) -> int:
    """The id of the nucleus that leaves most of the canvas to others."""
    table = quality.model.table
    assert table is not None
    return int(table.ids[np.nanargmin(table.area)])


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


def reviewed(panel: CoSynthPanel, qtbot: Any) -> QualityPanel:
    """The quality dock over a result that was just made."""
    quality = QualityPanel(panel.viewer)
    panel.viewer.window.add_dock_widget(quality, name="CoSynth quality")
    panel.bar.synthesise.native.click()
    wait(panel, qtbot)
    qtbot.waitUntil(lambda: not quality.busy)
    return quality


def test_a_nucleus_is_repainted_from_the_review_again_and_back(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    quality = reviewed(panel, qtbot)
    (layers,) = results.groups(panel.viewer).values()
    labels = layers["labels"].data.copy()
    pictures = [layers["image"].data.copy()]
    quality.review.repaint_here.native.click()
    assert "select the nuclei" in notification_manager.records[-1].message

    chosen = smallest(quality)
    quality.view.selectRow(quality.view.shown.row_of(chosen))
    nucleus = layers["instances"].data == chosen
    assert nucleus.any()
    for _ in range(2):
        quality.review.repaint_here.native.click()
        wait(panel, qtbot)
        pictures.append(layers["image"].data.copy())
    first, second = ((b != a).any(2) for a, b in itertools.pairwise(pictures))
    assert first[nucleus].any() and second[nucleus].any()  # each from a seed of its own
    far = ~maximum_filter(nucleus, 2 * NEAR + 1)
    assert far.any() and not (first | second)[far].any()
    np.testing.assert_array_equal(layers["labels"].data, labels)
    qtbot.waitUntil(lambda: not quality.busy)
    assert quality.view.selected_ids() == [chosen]

    made = layers["image"].metadata["cosynth"]["recipes"][0]
    assert made["repainted"]["seed"] == made["seed"] + 2
    for picture in (pictures[1], pictures[0]):
        quality.dropping.undo.native.click()
        np.testing.assert_array_equal(layers["image"].data, picture)
    assert "repainted" not in layers["image"].metadata["cosynth"]["recipes"][0]
    qtbot.waitUntil(lambda: not quality.busy)
    quality.dropping.redo.native.click()
    np.testing.assert_array_equal(layers["image"].data, pictures[1])


def test_what_was_dropped_in_the_review_goes_from_the_picture_there(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    quality = reviewed(panel, qtbot)
    (layers,) = results.groups(panel.viewer).values()
    before = layers["image"].data.copy()
    id_ = smallest(quality)
    gone = layers["instances"].data == id_
    quality.model.mark([id_])
    quality.dropping.drop.native.click()
    qtbot.waitUntil(lambda: not quality.busy)
    quality.view.clearSelection()
    quality.review.repaint_here.native.click()
    wait(panel, qtbot)
    assert (layers["image"].data != before).any(2)[gone].any()
    quality.dropping.undo.native.click()
    np.testing.assert_array_equal(layers["image"].data, before)
    assert not (layers["instances"].data == id_).any()
    quality.dropping.undo.native.click()
    np.testing.assert_array_equal(layers["instances"].data == id_, gone)
