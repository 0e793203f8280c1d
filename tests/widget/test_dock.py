"""The dock at 1280x800: what is in sight, what is folded, and the times it tells."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Points
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QAbstractButton, QLabel, QScrollArea, QSizePolicy, QWidget

from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.types import Layout, Request, Synthesis
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers.appearance import seen_colors
from napari_cosynth.widget.qt.staying import dock_of
from napari_cosynth.widget.run.speed import Speeds, duration, work

PLUGIN = "napari-cosynth"


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_main_path_is_in_sight_on_a_small_screen(
    make_napari_viewer: Callable[..., Any], qtbot: Any, theme: str
) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.theme = theme
    dock, panel = viewer.window.add_plugin_dock_widget(PLUGIN, "CoSynth")
    window = viewer.window._qt_window
    window.resize(1280, 800)
    viewer.open_sample(PLUGIN, "pair")
    qtbot.waitUntil(lambda: panel.height() > 600)
    column = panel.findChild(QScrollArea)
    qtbot.waitUntil(lambda: column.verticalScrollBar().maximum() == 0)
    assert dock.width() <= 400
    for widget in (
        panel.layout_controls.new,
        panel.layout_controls.tools.buttons["brush"],
        panel.bar.synthesise,
        panel.refine.update_rest,
        panel.refine.save,
    ):
        assert not widget.native.visibleRegion().isEmpty()
    # Nothing is cut off at the right, and no button is too narrow for its words.
    for child in panel.findChildren(QWidget):
        if child.isVisible() and child is not column.viewport():
            right = child.mapTo(panel, QPoint(child.width(), 0)).x()
            assert right <= panel.width(), child
    for button in panel.findChildren(QAbstractButton):
        if button.isVisible() and button.text():
            words = button.fontMetrics().horizontalAdvance(button.text().replace("&", ""))
            assert words <= button.width(), button.text()


def test_a_folded_section_says_what_is_set(panel: CoSynthPanel, points: Points) -> None:
    section = panel.sections["Sampling"]
    assert section.folded and section.body.isHidden()
    assert section.summary == "fast, 2 steps · seed 0"
    panel.sampling.preset.value = "Draft"
    panel.sampling.seed.value = 7
    panel.sampling.count.value = 3
    assert section.summary == "Draft, 6 steps · seed 7 · 3 samples"
    section.heading.click()
    assert not section.folded and not section.body.isHidden()
    assert panel.sections["Layout"].summary == "4 points"
    assert panel.sections["Model"].summary == "tiny · any tissue, H&E"


def a_sample(layout: Layout, checkpoint: Path, **changes: Any) -> Synthesis:
    request = Request(layout, "tissue", str(checkpoint), steps=2, **changes)
    (sample,) = [x for x in synthesize(request) if isinstance(x, Synthesis)]
    return sample


def test_times_are_kept_and_scale_with_the_work(
    layout: Layout, tiny_checkpoint: Path, tmp_path: Path, qtbot: Any
) -> None:
    file, name = tmp_path / "speed.json", str(tiny_checkpoint)
    made = dataclasses.replace(a_sample(layout, tiny_checkpoint), seconds=10.0)
    speeds = Speeds(file)
    assert speeds.seconds(name, "auto", 2, 1.0, (64, 64)) is None
    speeds.learn(made)
    qtbot.waitUntil(lambda: not speeds.busy)
    again = Speeds(file)  # another session
    assert again.seconds(name, "auto", 2, 1.0, (64, 64)) == pytest.approx(10)
    assert again.seconds(name, "auto", 4, 2.0, (64, 128)) == pytest.approx(80)
    assert again.seconds(name, "cuda", 2, 1.0, (64, 64)) is None
    window = {**made.provenance, "resampled": [[0, 0, 8, 8]]}
    again.learn(dataclasses.replace(made, seconds=0.1, provenance=window))
    assert again.seconds(name, "auto", 2, 1.0, (64, 64)) == pytest.approx(10)
    assert work(20, 0.0, (1000, 1000)) == 20 and duration(0.2) == "under 1 s"


def test_into_an_image_has_a_time_of_its_own(layout: Layout, tiny_checkpoint: Path) -> None:
    name, speeds = str(tiny_checkpoint), Speeds()
    made = dataclasses.replace(a_sample(layout, tiny_checkpoint), seconds=10.0)
    speeds.learn(made)
    # 64 pixels are sampled in a window of 256, some steps twice.
    guessed = speeds.seconds(name, "auto", 2, 1.0, (64, 64), into_image=True)
    assert guessed == pytest.approx(10 * 16 * 1.5)
    inpainted = {**made.provenance, "inpainted": {}}
    speeds.learn(dataclasses.replace(made, seconds=300.0, provenance=inpainted))
    assert speeds.seconds(name, "auto", 2, 1.0, (64, 64), into_image=True) == pytest.approx(300)
    larger = speeds.seconds(name, "auto", 2, 1.0, (416, 160), into_image=True)
    assert larger == pytest.approx(300 * 2)
    assert speeds.seconds(name, "auto", 2, 1.0, (64, 64)) == pytest.approx(10)


def test_the_time_into_an_image_stands_there_where_there_is_one(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    panel.bar.synthesise.native.click()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=60_000)
    assert "into image" not in panel.bar.time.value
    image = panel.viewer.add_image(
        np.zeros((300, 300, 3), np.uint8), scale=points.scale, units=points.units
    )
    assert "into image" in panel.bar.time.value and "on cpu" in panel.bar.time.tooltip
    panel.viewer.layers.remove(image)
    assert "into image" not in panel.bar.time.value


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a|auto": {"seconds": -1}}', '{"a|auto": 3}'])
def test_a_damaged_record_of_times_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "speed.json"
    file.write_text(text)
    assert Speeds(file).of("a", "auto") is None


def test_the_dock_tells_the_time_it_measured(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    assert panel.bar.time.value == "time: known after the first run"
    left: list[str] = []
    panel.runner.progressed.connect(lambda _: left.append(panel.bar.time.value))
    panel.sampling.steps.value = 4
    panel.bar.synthesise.native.click()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=60_000)
    assert left[0] == "time: known after the first run"
    assert all(text.endswith(" left") for text in left[1:])
    assert " on cpu, " in panel.bar.time.value or " on cuda" in panel.bar.time.value
    qtbot.waitUntil(lambda: not panel.runs.speeds.busy)
    assert Speeds().of(panel.model.facts.name, "auto") is not None


def test_points_added_to_a_sample_layout_look_like_its_own(
    panel: CoSynthPanel, make_napari_viewer: Callable[..., Any]
) -> None:
    (layer,) = panel.viewer.open_sample(PLUGIN, "gland")
    panel.viewer.layers.selection.active = layer
    panel.layout_controls.editor.pick("malignant epithelial")
    layer.add([[3, 3]])
    colour = panel.layout_controls.editor.classes.colors[3] / 255
    np.testing.assert_allclose(layer.face_color[-1, :3], colour, atol=1e-6)
    assert layer.size[-1] == layer.size[0]
    assert panel.model.tissue.value == "colon"  # the sample's own


def test_every_class_is_seen_on_pink(panel: CoSynthPanel) -> None:
    panel.model.use("default")
    classes = panel.model.facts.classes
    shown = seen_colors(classes)
    others = [n for n in classes.names[1:] if n != "unspecified"]
    kept = [classes.names.index(n) for n in others]
    np.testing.assert_array_equal(shown[kept], classes.colors[kept])
    pinks = np.array([(204, 121, 167), (232, 180, 205), (215, 150, 190)])
    assert np.linalg.norm(shown[1:, None].astype(float) - pinks, axis=-1).min() > 80
    panel.layout_controls.new.native.click()
    panel.layout_controls.editor.pick("unspecified")
    panel.layout_controls.points.add([[5, 5]])
    color = 255 * panel.layout_controls.points.face_color[0, :3]
    np.testing.assert_allclose(color, shown[classes.names.index("unspecified")], atol=1)
    icon = panel.layout_controls.legend.item(5, 0).icon().pixmap(14).toImage()
    np.testing.assert_allclose(icon.pixelColor(6, 6).getRgb()[:3], color, atol=2)


def test_a_disabled_button_says_why(panel: CoSynthPanel, qtbot: Any) -> None:
    bar = panel.bar
    assert (
        not bar.synthesise.enabled and "Not now: there is no layout yet" in bar.synthesise.tooltip
    )
    assert bar.synthesise.tooltip.startswith("Samples the layout")
    panel.layout_controls.new.native.click()
    assert bar.synthesise.enabled and "Not now" not in bar.synthesise.tooltip
    assert "nothing is being sampled" in bar.cancel.tooltip


def test_four_docks_have_short_tabs_and_no_clipped_word(
    make_napari_viewer: Callable[..., Any], qtbot: Any
) -> None:
    viewer = make_napari_viewer(show=True)
    window = viewer.window._qt_window
    window.resize(1280, 800)
    viewer.open_sample(PLUGIN, "pair")
    panel = viewer.window.add_plugin_dock_widget(PLUGIN, "CoSynth")[1]
    names = ("CoSynth layout", "CoSynth gallery", "CoSynth quality")
    docks = [viewer.window.add_plugin_dock_widget(PLUGIN, name)[1] for name in names]
    panel.layout_controls.new.native.click()
    panel.sections["Sampling"].heading.click()
    for widget, title in zip(
        [panel, *docks], ("CoSynth", "Layout", "Gallery", "Quality"), strict=True
    ):
        frame = dock_of(widget)
        frame.show()
        frame.raise_()
        qtbot.waitUntil(lambda widget=widget: not widget.visibleRegion().isEmpty())
        assert frame.windowTitle() == title
        clipped = [
            (label.text(), label.width(), label.sizeHint().width())
            for label in widget.findChildren(QLabel)
            if label.isVisible()
            and not label.wordWrap()
            and label.sizePolicy().horizontalPolicy() is not QSizePolicy.Policy.Ignored
            and label.width() < label.sizeHint().width()
        ]
        assert not clipped, title
        for button in widget.findChildren(QAbstractButton):
            if button.isVisible() and button.text():
                words = button.fontMetrics().horizontalAdvance(button.text().replace("&", ""))
                assert words <= button.width(), (title, button.text())
