"""The train dock in a real window: a folder's data, a run paused, resumed and done, its model used."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton
from skimage.io import imsave

from napari_cosynth.export.stack import write_stack
from napari_cosynth.io.settings import plain
from napari_cosynth.training.config import (
    DataConfig,
    OptimizerConfig,
    Recipe,
    StageConfig,
    load_recipe,
)
from napari_cosynth.training.own.proposal import write_recipe
from napari_cosynth.training.run_folder import Start
from napari_cosynth.types import ClassTable
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layout import class_dialog
from napari_cosynth.widget.qt.staying import dock_of
from napari_cosynth.widget.run.backend import InThread
from napari_cosynth.widget.training import run_form, training
from napari_cosynth.widget.training.dock import TrainDock
from nuclei import items

WAIT = 600_000


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe that trains a few thousand weights, which the dock follows from random ones."""
    small = {"widths": [8, 16], "blocks": [1, 1], "cross_attention": [1], "text_width": 16}
    recipe = Recipe(
        name="toy",
        mpp=0.5,
        classes=("inflammatory", "malignant epithelial"),
        data=(DataConfig("folder", "none"),),
        stages=(StageConfig(8, 32, 2),),
        network={"preset": "compact", **small, "point_channels": 8, "point_growth": 4},
        text={"kind": "compact", "width": 16, "heads": 2},
        optimizer=OptimizerConfig(warmup=2),
        validate_every=20,
        validation_patches=2,
        validation_crop=32,
        sample_layouts=1,
        sample_shape=32,
        sample_steps=2,
    )
    file = write_recipe(recipe, tmp_path / "toy.toml")
    monkeypatch.setattr(run_form, "RECIPES", {"toy": (str(file), None)})
    monkeypatch.setattr(training, "LOOK_MS", 50)
    monkeypatch.setattr(class_dialog, "FILE", str(tmp_path / "classes.json"))
    return recipe


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A stack of six tiles in two classes."""
    return write_stack(items(6, classes=ClassTable.of("tumour", "stroma")), tmp_path / "mine")


@pytest.fixture
def dock(base: Recipe, make_napari_viewer: Callable[..., Any], qtbot: Any) -> TrainDock:
    viewer = make_napari_viewer(show=True)
    dock = viewer.window.add_plugin_dock_widget("napari-cosynth", "CoSynth train")[1]
    dock.panel.runner.backend = InThread()
    qtbot.waitUntil(dock.isVisible)
    yield dock
    dock.training.close()
    dock.training.wait(WAIT / 1000)


def settle(dock: TrainDock, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not dock.busy, timeout=WAIT)


def press(button: Any, qtbot: Any) -> None:
    assert button.enabled, button.tooltip
    qtbot.mouseClick(button.native, Qt.MouseButton.LeftButton)


def choose(dock: TrainDock, folder: Path, steps: int, qtbot: Any) -> None:
    dock.data.folder.native.setText(str(folder))
    dock.data.folder.native.editingFinished.emit()
    dock.form.steps.value = steps
    dock.form.name.value = "lesson"
    settle(dock, qtbot)


def test_from_a_folder_to_a_model_in_the_list(
    dock: TrainDock, base: Recipe, mine: Path, tmp_path: Path, qtbot: Any
) -> None:
    assert not dock.start.enabled and "no data set is chosen" in dock.start.tooltip
    choose(dock, mine, 100, qtbot)
    assert "Format stack: 6 tiles of 40 x 56 pixels" in dock.data.facts.value
    assert not dock.data.picture.pixmap().isNull()
    # A class whose name tells is suggested; the other is one more.
    assert dock.data.mapping == {"tumour": "malignant epithelial", "stroma": "spindle-shaped"}
    dock.data.boxes["stroma"].setCurrentText("a new class")
    settle(dock, qtbot)
    assert "100 steps" in dock.form.estimate.value and "GB" in dock.form.estimate.value

    press(dock.start, qtbot)
    run = tmp_path / "own/runs/lesson"
    state = dock.training
    qtbot.waitUntil(lambda: state.picture is not None and state.run.done > 20, timeout=WAIT)
    curve = dock.view.curve.curve
    assert len(curve[0]) >= 2 and np.ptp(curve[1]) > 0
    assert not dock.view.grid.pixmap().isNull()
    assert 0 < dock.progress.value < 100 and "left" in dock.time.value
    assert not dock.start.enabled and not dock.resume.enabled
    press(dock.pause, qtbot)
    qtbot.waitUntil(lambda: dock.training.state == "paused", timeout=WAIT)
    assert state.run.resumable and f"paused after {state.run.done} of 100" in dock.status.value
    written = load_recipe(run.with_suffix(".toml"))
    assert written.data[0].classes == {"tumour": "malignant epithelial"}
    assert written.classes == (*base.classes, "stroma")

    before = state.run.done
    press(dock.resume, qtbot)
    qtbot.waitUntil(lambda: dock.training.state == "done", timeout=WAIT)
    steps = state.run.curves["loss"][0]
    assert steps[-1] == 99 and (steps > before).any()
    qtbot.waitUntil(lambda: bool(dock.offer.buttons), timeout=WAIT)
    model = str(tmp_path / "own/checkpoints/lesson")
    assert model in dock.panel.model.checkpoint.choices
    assert dock.panel.model.checkpoint.value != model
    dock.offer.buttons["Use it"].click()
    assert dock.panel.model.checkpoint.value == model
    assert dock.panel.model.facts.classes.names[1:] == written.classes
    assert not dock.start.enabled and "a run called lesson already" in dock.start.tooltip
    # A new dock lists it too.
    assert model in CoSynthPanel(dock.panel.viewer).model.checkpoint.choices


def test_a_run_outlives_its_dock_and_stops_with_the_window(
    dock: TrainDock, mine: Path, tmp_path: Path, qtbot: Any
) -> None:
    choose(dock, mine, 1_000_000, qtbot)
    press(dock.start, qtbot)
    qtbot.waitUntil(lambda: dock.training.run is not None, timeout=WAIT)
    frame = dock_of(dock)
    (cross,) = [
        b for b in frame.titleBarWidget().findChildren(QPushButton) if "close" in b.toolTip()
    ]
    qtbot.mouseClick(cross, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: dock_of(dock) is None and dock.parentWidget() is not None)
    assert "goes on training" in notification_manager.records[-1].message
    before = dock.training.run.done
    qtbot.waitUntil(lambda: dock.training.run.done > before, timeout=WAIT)
    again = dock.panel.viewer.window.add_plugin_dock_widget("napari-cosynth", "CoSynth train")[1]
    assert again is dock and dock.pause.enabled
    dock.panel.viewer.close()
    dock.training.wait(WAIT / 1000)
    assert (tmp_path / "own/runs/lesson/last.ckpt").is_file()


@pytest.fixture
def stopped(base: Recipe, tmp_path: Path) -> Path:
    """The folder of a run that was stopped at its step 60 of 100."""
    run = tmp_path / "elsewhere" / "stopped"
    (run / "log/version_0").mkdir(parents=True)
    (run / "samples").mkdir()
    recipe = dataclasses.replace(base, stages=(StageConfig(100, 32, 2),))
    (run / "recipe.json").write_text(json.dumps(plain(recipe)))
    rows = [f"{2 - i / 10},3.0,{10 * i + 9}" for i in range(6)]
    (run / "log/version_0/metrics.csv").write_text("\n".join(["loss,seconds,step", *rows]))
    for step in (20, 40):
        pixels = np.full((32, 160, 3), step, np.uint8)
        imsave(run / f"samples/{step:07d}.png", pixels, check_contrast=False)
    (run / "last.ckpt").write_bytes(b"a state")
    Start(str(tmp_path)).write(run)
    return run


def test_a_run_is_found_in_its_folder(dock: TrainDock, stopped: Path, qtbot: Any) -> None:
    with pytest.raises(ValueError, match=r"not the folder of a run \(it has no recipe.json\)"):
        dock.open_run(stopped.parent)
    dock.open_run(stopped)
    qtbot.waitUntil(lambda: dock.training.picture is not None, timeout=WAIT)
    settle(dock, qtbot)
    assert dock.status.value == "paused after 60 of 100 steps" and dock.resume.enabled
    assert dock.view.curve.curve[1].tolist() == pytest.approx([2, 1.9, 1.8, 1.7, 1.6, 1.5])
    # 40 steps of 3 s, and what lies between them.
    assert dock.time.value == "about 2 min left" and dock.view.at.value == "step 40"
    press(dock.view.back, qtbot)
    qtbot.waitUntil(lambda: dock.training.grid.name == "0000020.png", timeout=WAIT)
    assert dock.training.picture.pixelColor(0, 0).red() == 20 and not dock.view.back.enabled
    press(dock.view.large, qtbot)
    qtbot.waitUntil(lambda: "stopped, step 20" in dock.viewer.layers, timeout=WAIT)
    # A state of another program is refused by the command itself.
    press(dock.resume, qtbot)
    qtbot.waitUntil(lambda: dock.training.state == "failed", timeout=WAIT)
    assert "last.ckpt" in dock.status.value
    (stopped / "start.json").unlink()
    dock.open_run(stopped)
    qtbot.waitUntil(lambda: "resume it by cosynth train" in dock.status.value, timeout=WAIT)
    assert not dock.resume.enabled


def test_what_the_form_lacks_is_told(dock: TrainDock, tmp_path: Path, qtbot: Any) -> None:
    (tmp_path / "empty").mkdir()
    choose(dock, tmp_path / "empty", 5, qtbot)
    assert "in none of the known formats" in dock.data.facts.value and not dock.start.enabled
    for kind in ("images", "instances"):
        (tmp_path / "bare" / kind).mkdir(parents=True)
    for name in ("a", "b"):
        ids = np.zeros((64, 64), np.uint16)
        ids[8:20, 8:20] = 1
        image = np.full((64, 64, 3), 200, np.uint8)
        imsave(tmp_path / "bare/images" / f"{name}.png", image, check_contrast=False)
        imsave(tmp_path / "bare/instances" / f"{name}.png", ids, check_contrast=False)
    choose(dock, tmp_path / "bare", 5, qtbot)
    assert dock.data.mpp.enabled and "do not tell their µm/px" in dock.start.tooltip
    dock.data.mpp.value = 0.2
    settle(dock, qtbot)
    assert "at least 32 pixels a side at 0.5 µm/px, got 26" in dock.form.estimate.value
    dock.data.mpp.value = 0.4
    dock.data.tissue.value = "lung"
    settle(dock, qtbot)
    assert dock.data.options == {"mpp": 0.4, "tissue": "lung"} and dock.start.enabled
    dock.form.name.value = "../up"
    assert not dock.start.enabled and "no name that a folder can have" in dock.start.tooltip


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_no_word_is_cut_on_a_small_screen(
    make_napari_viewer: Callable[..., Any], base: Recipe, stopped: Path, qtbot: Any, theme: str
) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.theme = theme
    viewer.window._qt_window.resize(1280, 800)
    frame, dock = viewer.window.add_plugin_dock_widget("napari-cosynth", "CoSynth train")
    dock.open_run(stopped)
    qtbot.waitUntil(lambda: dock.isVisible() and dock.training.picture is not None, timeout=WAIT)
    assert frame.width() <= 400
    for button in dock.findChildren(QPushButton):
        if button.isVisible() and button.text():
            words = button.fontMetrics().horizontalAdvance(button.text().replace("&", ""))
            assert words <= button.width(), button.text()
    assert dock.panel.viewer is not None
