"""From a layout to layers, and each way in which a run can end."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels, Points
from napari.utils.notifications import NotificationSeverity, notification_manager

from napari_cosynth.types import Progress
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.run.sampling_controls import SamplingControls

WAIT = 60_000


def run(panel: CoSynthPanel, qtbot: Any) -> None:
    panel.bar.synthesise.native.click()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)


def start_and_wait_for_step(panel: CoSynthPanel, qtbot: Any) -> None:
    """Starts a run that would take minutes, and returns after its first step."""
    panel.sampling.steps.value = 1000
    panel.sampling.preview.value = 1
    seen: list[Progress] = []
    panel.runner.progressed.connect(seen.append)
    panel.bar.synthesise.native.click()
    qtbot.waitUntil(lambda: bool(seen), timeout=WAIT)


def last_notification() -> tuple[str, NotificationSeverity]:
    record = notification_manager.records[-1]
    return record.message, record.severity


def test_the_dock_opens_without_torch() -> None:
    # Another process: this one has long imported torch.
    code = (
        "import sys, napari_cosynth.widget.docks.panel\n"
        "heavy = {'torch', 'transformers', 'lightning'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_synthesise_adds_one_group_of_four_layers(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    panel.sampling.preview.value = 1
    run(panel, qtbot)
    (group,) = results.groups(panel.viewer).values()
    assert isinstance(group["image"], Image) and group["image"].rgb
    assert group["image"].data.shape == (64, 64, 3)
    assert isinstance(group["labels"], Labels) and isinstance(group["instances"], Labels)
    assert group["distance"].data.dtype == np.float32
    for layer in group.values():
        np.testing.assert_allclose(layer.scale, points.scale)
        assert layer.units == points.units
        recipe = layer.metadata["cosynth"]["recipes"][0]
        assert recipe["seed"] == 0 and recipe["steps"] == 2 and recipe["checkpoint_sha256"]
    assert list(group["labels"].features["class"])[1:] == list(panel.model.facts.classes.names[1:])
    assert len(panel.viewer.layers) == 5
    assert panel.viewer.layers[-1] is points
    assert "cpu" in panel.bar.time.value


def test_several_seeds_are_several_results_to_keep_or_discard(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    panel.sampling.count.value = 3
    run(panel, qtbot)
    names = list(results.groups(panel.viewer))
    assert [name.split("#")[1] for name in names] == ["0", "1", "2"]
    panel.results.result.value = names[1]
    shown = {n for n, g in results.groups(panel.viewer).items() if g["image"].visible}
    assert shown == {names[1]}
    panel.results.result.value = names[0]
    panel.results.discard.native.click()
    assert list(results.groups(panel.viewer)) == names[1:]
    panel.results.result.value = names[2]
    panel.results.keep_only.native.click()
    assert list(results.groups(panel.viewer)) == names[2:]


def test_the_same_seed_gives_the_same_pixels_and_reuse_brings_it_back(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    panel.sampling.random.value = True
    run(panel, qtbot)
    seed = panel.sampling.seed.value
    panel.sampling.seed.value = seed + 1 if seed < 5 else 5
    panel.sampling.reuse.native.click()
    assert panel.sampling.seed.value == seed and not panel.sampling.random.value
    panel.bar.synthesise.native.click()
    panel.bar.offer.buttons["Sample again"].click()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)
    first, second = results.groups(panel.viewer).values()
    np.testing.assert_array_equal(first["image"].data, second["image"].data)
    np.testing.assert_array_equal(first["instances"].data, second["instances"].data)


def test_a_seed_is_drawn_anew_unless_it_is_put_in_or_held() -> None:
    form = SamplingControls()
    assert form.random.value
    assert len({form.draw_seeds() for _ in range(3)}) == 3 and form.random.value
    held = form.seed.value
    form.reuse.native.click()
    assert form.draw_seeds() == (held,) and not form.random.value
    form.random.value = True
    form.seed.native.setValue(77)  # as the keyboard does
    assert not form.random.value and form.draw_seeds() == (77,)


def test_the_same_settings_are_not_sampled_again_unasked(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    run(panel, qtbot)
    (name,) = results.groups(panel.viewer)
    panel.bar.synthesise.native.click()
    assert not panel.runner.busy
    offer = panel.bar.offer
    assert not offer.isHidden() and offer.text.value.startswith(f"{name} has these very settings")
    offer.buttons["Not now"].click()
    assert offer.isHidden() and not panel.runner.busy
    panel.bar.synthesise.native.click()
    offer.buttons["Another seed"].click()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)
    assert offer.isHidden() and panel.sampling.random.value
    first, second = results.groups(panel.viewer).values()
    assert (first["image"].data != second["image"].data).any()
    for change in (lambda: points.add([[50, 20]]), lambda: panel.sampling.steps.native.setValue(3)):
        panel.sampling.seed.native.setValue(0)
        change()
        panel.bar.synthesise.native.click()
        assert panel.runner.busy and offer.isHidden()  # other pixels
        qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)


def test_a_closed_result_is_opened_again_as_it_was(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    run(panel, qtbot)
    (name,) = results.groups(panel.viewer)
    results.groups(panel.viewer)[name]["labels"].paint((3, 3), 2)
    panel.results.discard.native.click()
    assert not results.groups(panel.viewer) and panel.results.undo.enabled
    panel.results.undo.native.click()
    assert set(results.groups(panel.viewer)[name]) == set(results.ROLES)
    assert results.groups(panel.viewer)[name]["labels"].data[3, 3] == 2
    assert panel.results.name == name and not panel.results.undo.enabled


def test_two_clicks_are_one_run(panel: CoSynthPanel, points: Points, qtbot: Any) -> None:
    panel.bar.synthesise.native.click()
    assert panel.bar.synthesise.text == "Queue" and panel.bar.cancel.enabled
    panel.bar.synthesise.native.click()  # of the very same pixels
    assert "is under way already" in notification_manager.records[-1].message
    assert not panel.runs.waiting.jobs
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)
    assert len(results.groups(panel.viewer)) == 1
    assert panel.bar.synthesise.text == "Synthesise" and not panel.bar.cancel.enabled


def test_cancel_stops_within_one_step(panel: CoSynthPanel, points: Points, qtbot: Any) -> None:
    start_and_wait_for_step(panel, qtbot)
    taken: list[int] = []
    before = len(panel.viewer.layers)
    assert before <= 5  # the layout and the beginnings of a result
    panel.runner.progressed.connect(lambda p: taken.append(p.step))
    panel.bar.cancel.native.click()
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)
    assert not taken
    assert [layer.name for layer in panel.viewer.layers] == [points.name]
    assert panel.bar.status.value == "cancelled"
    panel.sampling.steps.value = 2
    run(panel, qtbot)
    assert len(results.groups(panel.viewer)) == 1


def test_removing_the_layout_cancels_its_run(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    start_and_wait_for_step(panel, qtbot)
    panel.viewer.layers.remove(points)
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)
    assert not results.groups(panel.viewer)
    assert last_notification()[0].startswith("The layout was removed")
    assert not panel.bar.synthesise.enabled


def test_removing_the_preview_does_not_disturb_the_run(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    panel.sampling.steps.value = 12
    panel.sampling.preview.value = 1
    panel.runner.progressed.connect(lambda p: p.step == 6 and remove_previews(panel))
    run(panel, qtbot)
    assert len(results.groups(panel.viewer)) == 1


def remove_previews(panel: CoSynthPanel) -> None:
    for layer in [x for x in panel.viewer.layers if "#" in x.name]:
        panel.viewer.layers.remove(layer)


def test_a_layout_changed_during_the_run_gives_the_result_of_the_old_one(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    panel.sampling.steps.value = 6
    panel.runner.progressed.connect(lambda p: p.step == 1 and points.add([[50, 20]]))
    run(panel, qtbot)
    (group,) = results.groups(panel.viewer).values()
    assert len(group["image"].metadata["cosynth_sample"].record.layout) == 4
    assert len(points.data) == 5
    assert set(points.features["note"]) == {""}
    assert "changed during the run" in last_notification()[0]


def test_closing_the_viewer_ends_the_run(panel: CoSynthPanel, points: Points, qtbot: Any) -> None:
    start_and_wait_for_step(panel, qtbot)
    runner = panel.runner
    panel.viewer.close()
    qtbot.waitUntil(lambda: not runner.busy, timeout=WAIT)


def test_closing_the_dock_ends_the_run(panel: CoSynthPanel, points: Points, qtbot: Any) -> None:
    panel.start()
    ((job, _),) = panel.runs.undone()
    view = job.view.view  # type: ignore[union-attr]
    assert view is not None and view._waiting and view._timer.isActive()
    runner, viewer = panel.runner, panel.viewer
    viewer.window.remove_dock_widget(panel)
    panel.deleteLater()
    qtbot.waitUntil(lambda: not runner.busy, timeout=WAIT)
    # No layer comes in that a closing viewer has no place for.
    assert not view._waiting and not view._timer.isActive()
    points.add([[5, 5]])  # nobody listens any more, and nothing breaks


@pytest.mark.parametrize("kind", [RuntimeError, ValueError, MemoryError])
def test_an_error_is_one_line_with_its_traceback_on_demand(
    panel: CoSynthPanel, points: Points, qtbot: Any, kind: type[Exception]
) -> None:
    def broken() -> Any:
        raise kind("no room for the sample")
        yield

    panel.runner.start(broken)
    qtbot.waitUntil(lambda: not panel.runner.busy, timeout=WAIT)
    record = notification_manager.records[-1]
    assert record.message == "no room for the sample"
    assert record.severity == NotificationSeverity.ERROR
    assert "broken" in record.as_text()
    assert panel.bar.status.value == "failed"


def test_points_that_cannot_be_sampled_are_refused_before_the_run(
    panel: CoSynthPanel, points: Points
) -> None:
    points.add([[10, 100]])
    panel.bar.synthesise.native.click()
    message, severity = last_notification()
    assert "outside the canvas" in message and severity == NotificationSeverity.WARNING
    assert not panel.runner.busy


def test_two_points_on_one_pixel_are_named(panel: CoSynthPanel, points: Points, qtbot: Any) -> None:
    points.add([points.data[1]])
    run(panel, qtbot)
    assert "points 1 and 4 share the pixel" in last_notification()[0]


def test_missed_points_are_marked(panel: CoSynthPanel, points: Points, qtbot: Any) -> None:
    run(panel, qtbot)
    (group,) = results.groups(panel.viewer).values()
    report = group["image"].metadata["cosynth_sample"].report
    for note in ("missed",):
        rows = [i - 1 for i in getattr(report, note)]
        assert list(np.flatnonzero(points.features["note"] == note)) == rows


def test_the_request_is_what_the_form_says(panel: CoSynthPanel, points: Points) -> None:
    panel.model.tissue.value = "colon"
    panel.sampling.sampler.value = "ancestral"
    panel.sampling.steps.value = 7
    panel.sampling.guidance.value = 2.5
    panel.sampling.seed.value = 11
    panel.sampling.count.value = 2
    panel.sampling.preview.value = 0
    panel.model.device.value = "cpu"
    request = panel.form.request(panel.sampling.draw_seeds())
    assert dataclasses.replace(request, layout=None) == dataclasses.replace(  # type: ignore[arg-type]
        request,
        layout=None,  # type: ignore[arg-type]
        prompt="high-quality histopathology colon tissue image including nuclei types of "
        "inflammatory, epithelial and spindle-shaped.",
        sampler="ancestral",
        steps=7,
        guidance=2.5,
        seeds=(11, 12),
        tissue="colon",
        stain="H&E",
        device="cpu",
    )
    assert len(request.layout) == 4


def test_the_bar_says_nothing_of_a_result_that_is_gone(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    run(panel, qtbot)
    assert "a sample" in panel.bar.status.value
    panel.viewer.layers.remove(panel.viewer.layers[points.name])
    assert "a sample" in panel.bar.status.value  # its result is there
    panel.results.discard.native.click()
    assert panel.bar.status.value == ""


def test_undo_is_there_after_another_layout_was_worked_on(
    panel: CoSynthPanel, points: Points
) -> None:
    controls = panel.layout_controls
    points.add([[50, 20]])
    controls.new.native.click()
    other = controls.points
    assert other is not points and not controls.undo.enabled
    points.data = points.data[:-2]  # by hand, while the dock works on the other
    panel.viewer.layers.selection.active = points
    assert controls.points is points and controls.undo.enabled
    controls.undo.native.click()
    assert len(points.data) == 5
    controls.undo.native.click()
    assert len(points.data) == 4
    controls.redo.native.click()
    assert len(points.data) == 5
    panel.viewer.layers.remove(other)
    assert list(controls._histories) == [points]


def test_update_makes_points_of_the_result_and_stays_at_the_drawn_layout(
    panel: CoSynthPanel, points: Points, qtbot: Any
) -> None:
    run(panel, qtbot)
    for active in (points, None):
        panel.viewer.layers.selection.active = active
        panel.refine.update_rest.native.click()
        own = panel.refine._shown.own_layout
        assert own is not None and panel.refine.points.value is own
        assert panel.layout_controls.points is points
        assert panel.viewer.layers.selection.active is active
        panel.viewer.layers.remove(own)
