"""A checkpoint that was trained for a few passes: what can be chosen, what is told, what Live shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from napari.layers import Points
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_cosynth.types import Progress, Synthesis
from napari_cosynth.widget.docks import model_controls
from napari_cosynth.widget.docks import panel as panel_module
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.docks.preferences import Preferences
from napari_cosynth.widget.run.backend import InThread

WAIT = 60_000


@pytest.fixture
def few(panel: CoSynthPanel, points: Points, few_checkpoint: Path) -> CoSynthPanel:
    """The dock with a layout and a checkpoint for three passes; the other of its fixture has none."""
    panel.sampling.preset.value = "Final"
    panel.model.use(str(few_checkpoint))
    return panel


def now(panel: CoSynthPanel) -> tuple[str, str, int, int]:
    form = panel.sampling
    widgets = (form.preset, form.sampler, form.steps, form.preview)
    return tuple(widget.value for widget in widgets)  # type: ignore[return-value]


def able(panel: CoSynthPanel, name: str) -> bool:
    box = panel.sampling.sampler
    return bool(box.native.model().item(list(box.choices).index(name)).isEnabled())


def test_a_folder_that_is_no_checkpoint_is_refused_in_a_line(
    few: CoSynthPanel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = few.model.checkpoint.value
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *a: str(tmp_path))
    few.model.checkpoint.native.setCurrentText(model_controls.BROWSE)
    record = notification_manager.records[-1]
    assert str(record.severity) == "warning" and str(tmp_path) in record.message
    assert "\n" not in record.message
    assert few.model.checkpoint.value == before


def test_the_presets_are_the_checkpoints(few: CoSynthPanel, tiny_checkpoint: Path) -> None:
    assert now(few) == ("Final", "few", 3, 1) and able(few, "few")
    few.sampling.preset.value = "Draft"
    assert now(few) == ("Draft", "few", 2, 1)
    assert few.sections["Sampling"].summary.startswith("Draft, 2 steps")
    few.sampling.steps.value = 1
    assert few.sections["Sampling"].summary.startswith("few, 1 step ·")
    few.sampling.steps.value = 3
    few.model.use(str(tiny_checkpoint))
    assert now(few) == ("Final", "fast", 20, 4) and not able(few, "few")
    few.sampling.preset.value = "Draft"
    assert now(few) == ("Draft", "fast", 6, 4)


def test_what_few_does_not_have_cannot_be_chosen(
    few: CoSynthPanel, tiny_checkpoint: Path, qtbot: Any
) -> None:
    few.sections["Sampling"].heading.click()
    spin = few.sampling.steps.native
    spin.selectAll()
    qtbot.keyClicks(spin, "20")
    qtbot.keyClick(spin, Qt.Key.Key_Tab)
    assert few.sampling.steps.value <= 3
    assert few.form.request((0,)).sampler == "few"
    # Other samplers take what they take; the steps of few say nothing of theirs.
    few.sampling.sampler.value = "flow"
    assert now(few) == ("Custom", "flow", 20, 4)
    few.sampling.steps.value = 9
    few.sampling.sampler.value = "ancestral"
    assert now(few) == ("Custom", "ancestral", 9, 4)
    few.sampling.preview.value = 0
    few.sampling.sampler.value = "few"
    assert now(few) == ("Final", "few", 3, 0)
    few.sampling.steps.value = 1
    few.model.use(str(tiny_checkpoint))
    assert now(few)[:3] == ("Final", "fast", 20)


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [(0, ("Final", "few", 3)), (2, ("Draft", "few", 2)), (50, ("Custom", "fast", 50))],
)
def test_a_new_dock_starts_with_what_is_usual_or_preferred(
    make_napari_viewer: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    few_checkpoint: Path,
    steps: int,
    wanted: tuple[str, str, int],
) -> None:
    monkeypatch.setattr(panel_module, "read_preferences", lambda: Preferences("cpu", steps))
    monkeypatch.setattr(model_controls, "available", lambda: [str(few_checkpoint)])
    assert now(CoSynthPanel(make_napari_viewer()))[:3] == wanted


def test_one_pass_is_told_from_its_beginning_to_its_end(few: CoSynthPanel, qtbot: Any) -> None:
    few.sampling.steps.value = 1
    told: list[tuple[float, str]] = []
    few.runner.progressed.connect(
        lambda _: told.append((few.bar.progress.value / few.bar.progress.max, few.bar.status.value))
    )
    few.bar.synthesise.native.click()
    qtbot.waitUntil(lambda: not few.runner.busy, timeout=WAIT)
    assert told == [(1.0, "step 1 of 1")]
    assert " s a sample; " in few.bar.status.value and " on cpu, " in few.bar.time.value
    # A canvas by windows is under way in its only pass.
    few.sampling.preset.value = "Final"
    few.bar.begin(few.form.request((0,)))
    few.bar.advance(Progress(0, 0, 1, 0, 3, part=0.5))
    assert few.bar.progress.value / few.bar.progress.max == pytest.approx(1 / 6, abs=0.01)


def test_live_shows_an_estimate_a_draft_and_then_all_passes(
    few: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    assert isinstance(few.runner.backend, InThread)
    seen: list[tuple[str, int]] = []
    few.live.previewed.connect(lambda p: seen.append(("estimate", p.step)))
    few.live.shown.connect(lambda s: seen.append(("sample", s.request.steps)))
    made: list[Synthesis] = []
    few.sampled.connect(made.append)
    few.sampling.live.value = True

    def settled(count: int) -> bool:
        full = [s for s in made if s.request.steps == 3]
        return len(full) == count and not few.live.busy

    qtbot.waitUntil(lambda: settled(1), timeout=WAIT)
    assert seen == [("estimate", 1), ("sample", 2), ("sample", 3)]
    assert few.bar.status.value.startswith("live, full")
    points.add([[55, 10]])
    qtbot.waitUntil(lambda: settled(2), timeout=WAIT)
    assert seen[3:] == [("estimate", 1), ("sample", 2), ("sample", 3)]
    few.sampling.live.value = False
    assert {s.request.sampler for s in made} == {"few"}
