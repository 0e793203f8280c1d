"""The regions dock over a real slide: layouts drawn by a model, sampled into it; the slide written."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog

from napari_cosynth.slides.slide import open_slide
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.layout import SAMPLE_KEY
from napari_cosynth.widget.layers.region import is_slide
from napari_cosynth.widget.regions.laying_out import DRAWN
from napari_cosynth.widget.regions.region_table import POINTS_COLUMN
from napari_cosynth.widget.regions.regions_dock import RegionsDock

WAIT = 240_000
MPP = 0.499


@pytest.fixture
def dock(panel: CoSynthPanel, data_root: Path) -> RegionsDock:
    """The dock over an Aperio slide of 2,220 x 2,967 pixels, as napari's File > Open opens it.

    The bundled model knows the classes that the bundled layout models draw; one pass is enough here.
    """
    panel.model.use("default")
    panel.sampling.steps.value = 1
    panel.viewer.open(data_root / "slides" / "CMU-1-Small-Region.svs", plugin="napari-cosynth")
    made = RegionsDock(panel.viewer)
    panel.viewer.window.add_dock_widget(made, name="CoSynth regions")
    return made


def test_regions_drawn_by_a_model_are_sampled_into_a_real_slide_and_written(
    panel: CoSynthPanel,
    dock: RegionsDock,
    data_root: Path,
    qtbot: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = open_slide(data_root / "slides" / "CMU-1-Small-Region.svs")
    pixels = np.asarray(original.levels[0])
    (slide,) = [layer for layer in panel.viewer.layers if is_slide(layer)]
    middle = slide.extent.world.mean(0)[-2:]
    for side in (-1, 1):
        panel.viewer.scene.camera.center = (0.0, middle[0], middle[1] + side * 100)
        dock.squares["20x"].native.click()
    qtbot.waitUntil(lambda: dock.table.rowCount() == 2 and not dock.busy)

    dock.source.value = next(name for name in dock.source.choices if name.startswith(DRAWN))
    random.seed(7)  # a pattern's seed is drawn, and some have hardly a nucleus
    dock.lay_out.native.click()
    qtbot.waitUntil(lambda: not dock.busy, timeout=WAIT)
    assert dock.status.value.startswith("2 layouts"), dock.status.value
    counts = [int(dock.table.item(row, POINTS_COLUMN).text()) for row in range(2)]
    assert all(count > 3 for count in counts)
    drawn = [panel.viewer.layers[f"region {number}"] for number in (1, 2)]
    # Two regions get two patterns, each inside its own square of 128 µm.
    assert not np.array_equal(drawn[0].data[:3], drawn[1].data[:3])
    for layer, region in zip(drawn, dock.regions, strict=True):
        world = np.array([layer.data_to_world(point)[-2:] for point in layer.data])
        low, high = region.corners
        assert (world >= low - 0.5).all() and (world <= high + 0.5).all()

    panel.sampling.painted.value = "the whole canvas"
    dock.into_image.native.click()

    def over() -> bool:
        return not (panel.runner.busy or panel.gallery.busy or dock.busy or panel.runs.plan.left)

    qtbot.waitUntil(over, timeout=WAIT)
    target = tmp_path / "edited.ome.tif"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: (str(target), ""))
    dock.write.native.click()
    qtbot.waitUntil(lambda: not dock.busy, timeout=WAIT)
    assert dock.status.value == "written: edited.ome.tif with 2 regions"

    written = open_slide(target)
    assert written.mpp == pytest.approx(MPP, rel=1e-3) and len(written.levels) > 1
    wanted = pixels.copy()
    for group in results.groups(panel.viewer).values():
        made = group["image"].metadata[SAMPLE_KEY]
        y0, x0, y1, x1 = made.provenance["inpainted"]["region"]
        assert (made.patch != pixels[y0:y1, x0:x1]).any()
        wanted[y0:y1, x0:x1] = made.patch
    np.testing.assert_array_equal(np.asarray(written.levels[0]), wanted)
    # The slide itself is as it was.
    again = open_slide(data_root / "slides" / "CMU-1-Small-Region.svs")
    np.testing.assert_array_equal(np.asarray(again.levels[0]), pixels)
