"""Look: from below, of a layer, of a file, by seed: measured beside the window, kept with the layout."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Points
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from skimage.io import imsave

from napari_cosynth.export.stack import write_stack
from napari_cosynth.model.looks import LOOKS, TileLook, draw_look, look_of
from napari_cosynth.synthesis.looks import look_from
from napari_cosynth.types import Layout, Synthesis
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers.placement import free_placement
from napari_cosynth.widget.layers.results import blank_layers
from napari_cosynth.widget.look import look_choice, look_controls

WAIT = 120_000
PLUGIN = "napari-cosynth"


def tissue(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Violet noise with darker spots."""
    rng = np.random.default_rng(seed)
    pixels = np.array([210, 150, 195]) + rng.normal(0, 12, (*shape, 3))
    pixels[rng.random(shape) < 0.2] = (90, 60, 140)
    return pixels.clip(0, 255).astype(np.uint8)


@pytest.fixture
def dock(panel: CoSynthPanel, few_checkpoint: Path) -> CoSynthPanel:
    """The dock on a checkpoint that follows looks, with a slide of 0.25 µm/px in the viewer."""
    panel.sampling.preset.value = "Final"
    panel.model.use(str(few_checkpoint))
    panel.viewer.add_image(
        tissue((300, 260)), name="slide", scale=(0.25, 0.25), units=("µm", "µm"), translate=(10, 20)
    )
    return panel


@pytest.fixture
def over(dock: CoSynthPanel, layout: Layout) -> Points:
    """A layout of 64 x 64 at 0.5 µm/px over rows 40..168 and columns 60..188 of the slide."""
    corner = np.array(dock.viewer.layers["slide"].data_to_world((39.5, 59.5))) + 0.25
    place = dataclasses.replace(free_placement((64, 64), 0.5, []), origin=tuple(corner))
    return dock.layout_controls.add_layout(place, layout)


def wait_for_look(dock: CoSynthPanel, qtbot: Any) -> tuple[Any, str]:
    qtbot.waitUntil(dock.look.ready, timeout=WAIT)
    request = dock.form.request((0,))
    return request.look, request.look_of


def run(dock: CoSynthPanel, qtbot: Any, button: Any) -> Synthesis:
    made: list[Synthesis] = []
    dock.sampled.connect(made.append)
    button.native.click()
    qtbot.waitUntil(lambda: bool(made) and not dock.runner.busy, timeout=WAIT)
    return made[-1]


def test_a_result_that_is_being_made_is_not_what_lies_below(
    dock: CoSynthPanel, layout: Layout, qtbot: Any
) -> None:
    """Its image lies over the canvas and changes with every preview: a look that follows itself."""
    dock.viewer.layers.remove("slide")
    place = free_placement((64, 64), 0.5, [])
    dock.layout_controls.add_layout(place, layout)
    layers = blank_layers(place, layout.classes, "result")
    for layer in layers.values():
        dock.viewer.add_layer(layer)
    layers["image"].data, layers["image"].visible = tissue((64, 64)), True
    look, _ = wait_for_look(dock, qtbot)
    assert (look, dock.look.choice.value) == ("seed", "by seed")
    sample = run(dock, qtbot, dock.bar.synthesise)
    assert sample.recipe["look_of"].startswith("training tile")


def halved(pixels: np.ndarray) -> np.ndarray:
    h, w = pixels.shape[0] // 2, pixels.shape[1] // 2
    means = pixels.reshape(h, 2, w, 2, 3).astype(float).mean((1, 3))
    return means.round().astype(np.uint8)


def test_the_image_below_is_followed_without_being_asked_for(
    dock: CoSynthPanel, over: Points, qtbot: Any
) -> None:
    slide = dock.viewer.layers["slide"].data
    assert dock.look.choice.value == look_choice.BELOW
    sample = run(dock, qtbot, dock.bar.synthesise)  # pressed before the look is known
    wanted = look_of(halved(slide[40:168, 60:188]))
    np.testing.assert_allclose(sample.request.look, wanted, atol=2e-3)
    assert sample.recipe["look"] == list(sample.request.look)[:16]  # as many as it knows
    assert sample.recipe["look_of"] == "slide, 40,60,128,128"
    assert "slide" in dock.look.choice.tooltip and "slide" in sample.request.look_of
    # The picture in the form is of that region.
    shown = dock.look.picture.native.pixmap().toImage()
    mean = np.mean(
        [QColor(shown.pixel(x, y)).getRgb()[:3] for x in range(20) for y in range(20)], 0
    )
    np.testing.assert_allclose(mean, slide[40:168, 60:188].mean((0, 1)), atol=12)
    assert "data:image/png;base64," in dock.look.picture.tooltip
    # Variations and Live ask for the same.
    assert dock.form.live_request().look == sample.request.look


def test_without_an_image_below_seeds_draw_looks(
    dock: CoSynthPanel, over: Points, qtbot: Any
) -> None:
    wait_for_look(dock, qtbot)
    dock.viewer.layers.remove("slide")
    assert wait_for_look(dock, qtbot) == ("seed", "")
    assert dock.look.choice.value == look_choice.SEED
    box = dock.look.choice.native
    below = box.model().item(list(dock.look.choice.choices).index(look_choice.BELOW))
    assert not below.isEnabled()
    assert "no image under" in below.data(Qt.ItemDataRole.ToolTipRole)
    assert not dock.look.picture.visible
    dock.viewer.add_image(
        np.zeros((300, 260), np.uint8), name="grey", scale=(9, 9), units=over.units
    )
    assert wait_for_look(dock, qtbot)[0] == "seed"
    assert "grey: expected an 8-bit RGB image" in below.data(Qt.ItemDataRole.ToolTipRole)


def test_a_layer_is_followed_and_outlives_itself(
    dock: CoSynthPanel, over: Points, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tissue((90, 80), 5) // 2
    dock.viewer.add_image(other, name="other", scale=(0.5, 0.5), units=("µm", "µm"))
    asked: list[list[str]] = []
    monkeypatch.setattr(look_controls, "ask_layer", lambda names: asked.append(names) or "other")
    dock.look.choice.value = look_choice.LAYER
    look = wait_for_look(dock, qtbot)
    assert asked == [["other", "slide"]] and dock.look.choice.value == "layer other"
    np.testing.assert_allclose(look[0], look_of(other), atol=1e-4)
    assert look[1] == "other, 0,0,90,80"
    # Under a chosen rectangle it is that part.
    corners = np.array([[0, 0], [0, 19.9], [29.9, 19.9], [29.9, 0]])
    dock.viewer.add_shapes([corners], scale=(1, 1), units=("µm", "µm"))
    dock.look.choice.value = look_choice.LAYER
    part = wait_for_look(dock, qtbot)
    assert part[1] == "other, 0,0,60,40" and part[0] != look[0]
    dock.viewer.layers.remove("other")
    assert wait_for_look(dock, qtbot) == part
    # Each layout has its own.
    beside = dataclasses.replace(free_placement((64, 64), 0.5, []), origin=(500.0, 500.0))
    dock.layout_controls.add_layout(beside)
    assert dock.look.choice.value == look_choice.SEED
    dock.layout_controls.use_layer(over)
    assert dock.look.choice.value == "layer other" and wait_for_look(dock, qtbot) == part
    # What a look is of is JSON-ready like all of a layout's settings.
    assert json.loads(json.dumps(over.metadata["cosynth"]["look"]))["name"] == "other"
    assert dock.sections["Model"].summary.endswith("look layer other")


def test_a_file_is_followed_as_the_shell_does(
    dock: CoSynthPanel,
    over: Points,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    file, chosen = tmp_path / "stain.png", [""]
    imsave(file, tissue((120, 100), 7), check_contrast=False)
    chosen[0] = str(file)
    monkeypatch.setattr(look_controls, "ask_mpp", lambda name: 0.25)
    monkeypatch.setattr(look_controls.QFileDialog, "getOpenFileName", lambda *_: (chosen[0], ""))
    dock.look.choice.value = look_choice.FILE
    qtbot.waitUntil(lambda: dock.look.choice.value == "file stain.png", timeout=WAIT)
    assert wait_for_look(dock, qtbot) == look_from(str(file), 0.5, 0.25)
    before = wait_for_look(dock, qtbot)
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"\x89PNG nothing")
    chosen[0] = str(damaged)
    dock.look.choice.value = look_choice.FILE
    qtbot.waitUntil(
        lambda: any("damaged.png" in str(r.message) for r in notification_manager.records),
        timeout=WAIT,
    )
    assert dock.look.choice.value == "file stain.png" and wait_for_look(dock, qtbot) == before


def test_into_the_image_follows_what_is_around(
    dock: CoSynthPanel, over: Points, qtbot: Any
) -> None:
    sample = run(dock, qtbot, dock.bar.into_image)
    assert sample.recipe["look_of"] == "around the region of slide"
    assert len(sample.recipe["look"]) == 16


def test_a_checkpoint_without_looks_says_so(
    dock: CoSynthPanel, over: Points, qtbot: Any, tiny_checkpoint: Path
) -> None:
    dock.model.use(str(tiny_checkpoint))
    assert not dock.look.choice.enabled
    assert "tiny follows no look" in dock.look.choice.tooltip
    assert wait_for_look(dock, qtbot) == ("seed", "")
    assert "look" not in dock.sections["Model"].summary


def test_the_look_survives_a_stack(
    dock: CoSynthPanel, over: Points, qtbot: Any, tmp_path: Path
) -> None:
    sample = run(dock, qtbot, dock.bar.synthesise)
    write_stack([sample], tmp_path / "stack")
    dock.viewer.layers.clear()
    dock.viewer.open(tmp_path / "stack", plugin=PLUGIN)
    layer = next(x for x in dock.viewer.layers if isinstance(x, Points))
    dock.layout_controls.use_layer(layer)
    assert dock.look.choice.value == look_choice.KEPT
    look, whose = wait_for_look(dock, qtbot)
    np.testing.assert_allclose(look, sample.recipe["look"])
    assert whose == sample.request.look_of
    dock.look.choice.value = look_choice.SEED
    assert wait_for_look(dock, qtbot) == ("seed", "")


SEED = 4
"""One whose draw goes to the likelier tile."""


def test_live_stays_in_the_look_that_its_seed_drew(
    dock: CoSynthPanel, layout: Layout, few_checkpoint: Path, qtbot: Any, tmp_path: Path
) -> None:
    names = ("inflammatory", "spindle-shaped")
    tiles = [TileLook(n, "colon", {n: 1.0}, (0.1 + i,) * 16) for i, n in enumerate(names)]
    folder = tmp_path / "two"
    shutil.copytree(few_checkpoint, folder)
    (folder / LOOKS).write_text(json.dumps([dataclasses.asdict(t) for t in tiles]))
    dock.model.use(str(folder))
    dock.viewer.layers.remove("slide")
    points = dock.layout_controls.add_layout(free_placement((64, 64), 0.5, []), layout)
    made: list[Synthesis] = []
    dock.sampled.connect(made.append)

    def full() -> bool:
        done = made and made[-1].request.steps == 3 and not dock.live.busy
        return bool(done) and len(made[-1].record.layout) == len(points.data)

    dock.sampling.seed.value = SEED
    dock.sampling.live.value = True
    qtbot.waitUntil(full, timeout=WAIT)
    drawn = made[-1].recipe["look_of"].removeprefix("training tile ")
    # Many points of the other tile's class: drawn anew, the look would be that tile's.
    (other,) = set(names) - {drawn}
    assert draw_look(tiles, "", {other: 0.9}, 9000, SEED).tile == other  # type: ignore[union-attr]
    dock.layout_controls.editor.pick(other)  # type: ignore[union-attr]
    points.add([[y, x] for y in range(50, 64, 4) for x in range(2, 64, 4)])
    qtbot.waitUntil(full, timeout=WAIT)
    dock.sampling.live.value = False
    assert {s.recipe["look_of"] for s in made} == {f"training tile {drawn}"}
    assert len({tuple(s.recipe["look"]) for s in made}) == 1
    # The seed is what is asked for still: another one draws anew.
    assert made[-1].request.look == dock.form.live_request().look == "seed"


def test_a_brown_reference_is_warned_of(dock: CoSynthPanel, layout: Layout, qtbot: Any) -> None:
    brown = tissue((300, 260))
    brown[..., :] = brown[..., [0, 2, 1]] - [60, 90, 90]  # blue is what DAB takes away
    notification_manager.records.clear()
    dock.viewer.layers["slide"].data = brown
    corner = np.array(dock.viewer.layers["slide"].data_to_world((39.5, 59.5))) + 0.25
    place = dataclasses.replace(free_placement((64, 64), 0.5, []), origin=tuple(corner))
    dock.layout_controls.add_layout(place, layout)
    wait_for_look(dock, qtbot)
    told = [r.message for r in notification_manager.records if "brown" in r.message]
    assert len(told) == 1 and "choose by seed" in told[0]
    dock.viewer.layers["slide"].data = tissue((300, 260))
    wait_for_look(dock, qtbot)
    assert len([r for r in notification_manager.records if "brown" in r.message]) == 1
