"""A real viewer with the dock in it, on a tiny checkpoint: fast, and no different from any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_cosynth.types import Layout
from napari_cosynth.widget.docks import preferences
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.gallery import session
from napari_cosynth.widget.layers.placement import free_placement
from napari_cosynth.widget.run import speed
from napari_cosynth.widget.run.backend import InThread


@pytest.fixture(autouse=True)
def _own_measurements(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a test makes or measures is not kept among the user's files, nor read from them."""
    monkeypatch.setattr(speed, "FILE", tmp_path / "measured" / "speed.json")
    monkeypatch.setattr(session, "FOLDER", tmp_path / "sessions")
    monkeypatch.setattr(preferences, "OWN", tmp_path / "own")


@pytest.fixture
def panel(make_napari_viewer: Callable[..., Any], tiny_checkpoint: Path) -> CoSynthPanel:
    """The dock in a viewer: two steps, a canvas of 64 x 64."""
    viewer = make_napari_viewer()
    dock = CoSynthPanel(viewer)
    viewer.window.add_dock_widget(dock, name="CoSynth")
    # Importing torch in a process of its own for every test would take minutes; test_backend does.
    dock.runner.backend = InThread()
    dock.model.use(str(tiny_checkpoint))
    dock.sampling.steps.value = 2
    dock.sampling.random.value = False  # what is compared must be drawn from the same seed
    dock.layout_controls.height_px.value = dock.layout_controls.width_px.value = 64
    return dock


@pytest.fixture
def points(panel: CoSynthPanel, layout: Layout) -> Any:
    """A layout of four points, chosen in the dock."""
    return panel.layout_controls.add_layout(free_placement(layout.shape, layout.mpp, []), layout)
