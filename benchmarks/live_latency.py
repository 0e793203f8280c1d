"""From an edit to what it changes on the screen, with Live on, in a real viewer.

    xvfb-run -a python benchmarks/live_latency.py [--size 256] [--edits 10] [--device auto]

Each edit is made as napari's own mouse bindings make it. Two updates follow it: the first
*preview*, the clean estimate after one step, in which the edited nucleus is already to be seen, and
the *draft*, a finished sample of a few steps with its instances. An update counts when the canvas
has been painted with it. The full number of steps, which follows when the hand has rested, is
waited for before the next edit, so that every edit starts from the same kind of picture.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import napari
import numpy as np
from napari.layers import Points

from gui_stalls import Drawing, Gaps, tiled, wait
from napari_cosynth.types import Progress, Synthesis
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers.placement import free_placement
from napari_cosynth.widget.run.sampling_controls import draft_steps


class Clock:
    """When each thing happened after an edit, in milliseconds."""

    def __init__(self, panel: CoSynthPanel, drawing: Drawing) -> None:
        self.panel, self.drawing = panel, drawing
        sampling = panel.sampling
        self.draft = draft_steps(str(sampling.sampler.value), int(sampling.steps.value))
        self.at: dict[str, float] = {}
        self.steps: list[float] = []
        self.full = False
        self._begun = 0.0
        self._draw = False
        call = panel.runner.call

        def asked(kind: str, *arguments: object) -> None:
            self._note("asked")
            call(kind, *arguments)

        panel.runner.call = asked  # type: ignore[method-assign]
        panel.runner.progressed.connect(self._on_step)
        panel.runner.sampled.connect(self._on_arrival, priority=1)
        panel.live.previewed.connect(self._on_preview)
        panel.live.shown.connect(self._on_shown)

    def begin(self) -> None:
        self.at, self.steps, self.full = {}, [], False
        self._begun = time.perf_counter()

    def _note(self, name: str) -> None:
        self.at.setdefault(name, 1000 * (time.perf_counter() - self._begun))

    def _on_step(self, progress: Progress) -> None:
        if progress.steps == self.draft:
            self.steps.append(1000 * (time.perf_counter() - self._begun))

    def _on_preview(self, _: Progress) -> None:
        self.drawing.then(lambda: self._note("preview"))

    def _on_arrival(self, sample: Synthesis) -> None:
        if sample.request.steps == self.draft:
            self._note("sampled")

    def _on_shown(self, sample: Synthesis) -> None:
        is_draft = sample.request.steps == self.draft
        self.drawing.then(partial(self._shown, "draft" if is_draft else "final"))

    def _shown(self, name: str) -> None:
        self._note(name)
        self.full = self.full or name == "final"


def edits(layer: Points, rng: np.random.Generator) -> dict[str, Callable[[], None]]:
    """Kind -> an edit of that kind somewhere on the canvas."""
    side = layer.metadata["cosynth"]["shape"][0]

    def add() -> None:
        while True:
            point = rng.uniform(8, side - 9, 2)
            if np.hypot(*(layer.data - point).T).min() > 6:
                break
        layer.add(point[None])

    def move() -> None:
        # As a drag does: every step of it with its events blocked but the last.
        row = int(rng.integers(len(layer.data)))
        start = layer.data[row].copy()
        inwards = np.sign(side / 2 - start)
        with layer.events.data.blocker():
            layer._move({row}, start + 2 * inwards)
        layer._move({row}, start + 4 * inwards)

    def delete() -> None:
        layer.remove([int(rng.integers(len(layer.data)))])

    return {"add": add, "move": move, "delete": delete}


def line(name: str, values: list[float]) -> str:
    if not values:
        return f"  {name:46} none"
    return f"  {name:46} median {np.median(values):6.0f}  p90 {np.percentile(values, 90):6.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--edits", type=int, default=10, help="of each kind")
    parser.add_argument("--kinds", nargs="+", default=["add", "move", "delete"])
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--full", type=int, help="steps once the hand has rested (the checkpoint's own)"
    )
    options = parser.parse_args()
    viewer = napari.Viewer()
    drawing = Drawing()
    panel = CoSynthPanel(viewer)
    viewer.window.add_dock_widget(panel, name="CoSynth")
    panel.model.device.value = options.device
    if options.full is not None:
        panel.sampling.steps.value = options.full
    layout = tiled(options.size)
    layer = panel.layout_controls.add_layout(free_placement(layout.shape, layout.mpp, []), layout)
    clock = Clock(panel, drawing)
    clock.begin()
    panel.sampling.live.value = True
    wait(lambda: clock.full and not panel.live.busy, 120)
    print(f"{options.size} x {options.size}, {len(layer.data)} points, {clock.draft} draft steps")
    gaps = Gaps(drawing)
    gaps.timer.start()
    for kind in options.kinds:
        edit = edits(layer, np.random.default_rng(0))[kind]
        found: dict[str, list[float]] = {}
        for _ in range(options.edits):
            clock.begin()
            edit()
            clock._note("edited")
            wait(lambda: clock.full and not panel.live.busy, 120)
            at, steps = clock.at, clock.steps
            for name, value in (
                ("EDIT TO PREVIEW ON SCREEN", at.get("preview")),
                ("EDIT TO DRAFT ON SCREEN", at.get("draft")),
                ("EDIT TO FINAL ON SCREEN, after the hand's rest", at.get("final")),
                ("napari and the dock take the edit", at.get("edited")),
                ("until the sampling process is asked", at["asked"] - at["edited"]),
                ("until its first step is here", steps[0] - at["asked"] if steps else None),
                ("each further step", float(np.diff(steps).mean()) if len(steps) > 1 else None),
                ("last step to sample: decode, separate, hop", _between(steps, at.get("sampled"))),
                ("sample to screen", _between([at.get("sampled")], at.get("draft"))),
            ):
                if value is not None:
                    found.setdefault(name, []).append(value)
        print(f"{kind}; the window meanwhile: {gaps.take()}")
        for name, values in found.items():
            print(line(name, values))
    panel.sampling.live.value = False
    viewer.close()


def _between(start: list[float | None], end: float | None) -> float | None:
    return end - start[-1] if start and start[-1] is not None and end is not None else None


if __name__ == "__main__":
    main()
