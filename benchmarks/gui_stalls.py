"""How long the window does not answer while a synthesis runs, percentiles of event-loop gaps; and how
long one waits for the dock, the first picture and the result.

    xvfb-run -a python benchmarks/gui_stalls.py [--backend thread|process] [--size 256] [--steps 20]

A 5 ms QTimer on the GUI thread writes down when it fires; what a tick comes late is a stall that a
mouse or a key would feel. The first run includes importing torch and reading the weights.

Where there is no graphics card, the canvas is drawn by the processor, in this same thread. So what the
thread computed is printed with and without its drawing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import napari
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_cosynth.layouts.drawn.patterns import bundled_layouts
from napari_cosynth.types import Layout, Progress
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers.placement import free_placement
from napari_cosynth.widget.run.backend import InThread

INTERVAL_MS = 5


class Drawing:
    """The canvas' drawing: how long this thread computed for it, and when it was last done."""

    def __init__(self) -> None:
        # Not at the top: vispy lets it be imported only once napari has chosen Qt.
        from vispy.app.backends import _qt

        self.took = 0.0
        self.waiting: list[Callable[[], object]] = []
        draw = _qt.CanvasBackendDesktop.paintGL

        def timed(canvas: object) -> None:
            begun = time.thread_time()
            draw(canvas)
            self.took += 1000 * (time.thread_time() - begun)
            told, self.waiting = self.waiting, []
            for tell in told:
                tell()

        _qt.CanvasBackendDesktop.paintGL = timed

    def then(self, tell: Callable[[], object]) -> None:
        """Calls ``tell`` when the canvas has next been drawn, with what was changed until now."""
        self.waiting.append(tell)


class Gaps:
    """Times between ticks, in milliseconds beyond the interval, and what of them this thread computed.

    On a machine where other programs run, too, only the latter tells of the window.
    """

    def __init__(self, drawing: Drawing) -> None:
        self.late: list[float] = []
        self.own: list[float] = []
        self.rest: list[float] = []
        self._drawing = drawing
        self._last: float | None = None
        self._last_own = self._last_drawn = 0.0
        self.timer = QTimer()
        self.timer.setInterval(INTERVAL_MS)
        self.timer.timeout.connect(self._tick)

    def _tick(self) -> None:
        now, own = time.perf_counter(), time.thread_time()
        if self._last is not None:
            self.late.append(max(0.0, 1000 * (now - self._last) - INTERVAL_MS))
            self.own.append(1000 * (own - self._last_own))
            self.rest.append(self.own[-1] - self._drawing.took + self._last_drawn)
        self._last, self._last_own, self._last_drawn = now, own, self._drawing.took

    def take(self) -> str:
        """The figures since the last call."""
        late, self.late, self._last = np.array(self.late), [], None
        own, self.own = np.array(self.own), []
        rest, self.rest = np.array(self.rest), []
        # By time, not by tick: a stall of 500 ms is felt by whoever clicks in those 500 ms.
        felt = np.repeat(late, np.maximum(1, (late / INTERVAL_MS).astype(int)))
        return (
            f"ticks {late.size:5d}  p50 {np.percentile(late, 50):6.1f}  p99 "
            f"{np.percentile(late, 99):6.1f}  p99 by time {np.percentile(felt, 99):6.1f}  "
            f"max {late.max():6.1f} ms; computed here: max {own.max():5.1f} ms, over 100 ms "
            f"{(own > 100).sum()} times; without drawing: max {rest.max():5.1f} ms, over 100 ms "
            f"{(rest > 100).sum()} times"
        )


def tiled(size: int) -> Layout:
    """The bundled gland repeated over a canvas of ``size``."""
    gland = bundled_layouts()["gland"].layout
    count = -(-size // 256)
    shifts = [(256 * r, 256 * c) for r in range(count) for c in range(count)]
    points = np.concatenate([gland.centroids + np.array(s, np.float32) for s in shifts])
    ids = np.tile(gland.class_ids, len(shifts))
    keep = (points < size - 0.5).all(1)
    return Layout(points[keep], ids[keep], (size, size), gland.mpp, gland.classes)


def wait(condition: object, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end and not condition():  # type: ignore[operator]
        QApplication.processEvents()
        time.sleep(0.0005)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=("process", "thread"), default="process")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, help="the checkpoint's own where it is not given")
    parser.add_argument("--preview", type=int, help="steps; the dock's own where it is not given")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()

    viewer = napari.Viewer()
    drawing = Drawing()
    begun, worked = time.perf_counter(), time.process_time()
    panel = CoSynthPanel(viewer)
    if options.backend == "thread":
        panel.runner.backend = InThread()
    viewer.window.add_dock_widget(panel, name="CoSynth")
    torch = "imported" if "torch" in sys.modules else "not imported"
    took = f"{time.perf_counter() - begun:.2f} s ({time.process_time() - worked:.2f} s of this process)"
    print(f"dock opens in {took}, torch is {torch}")
    layout = tiled(options.size)
    panel.layout_controls.add_layout(free_placement(layout.shape, layout.mpp, []), layout)
    if options.steps is not None:
        panel.sampling.steps.value = options.steps
    if options.preview is not None:
        panel.sampling.preview.value = options.preview
    print(f"{options.size} x {options.size}, {len(layout):,} points")
    wait(lambda: False, 1)
    gaps = Gaps(drawing)
    gaps.timer.start()
    wait(lambda: False, 3)
    print(f"idle:        {gaps.take()}")
    done: list[float] = []
    shown: list[float] = []
    panel.runner.sampled.connect(lambda _: done.append(time.perf_counter()), priority=1)
    panel.sampled.connect(lambda _: drawing.then(lambda: shown.append(time.perf_counter())))
    pictures: list[float] = []

    def picture(progress: Progress) -> None:
        if progress.image is not None and not pictures:
            drawing.then(lambda: pictures.append(time.perf_counter()))

    # After the dock's own: it has given the picture to the viewer.
    panel.runner.progressed.connect(picture, priority=-1)
    for number in range(options.runs):
        pictures.clear()
        begun = time.perf_counter()
        panel.start()
        wait(lambda: not panel.runner.busy and not drawing.waiting, 600)
        print(f"{f'run {number + 1}:':12} {gaps.take()}  ({time.perf_counter() - begun:.1f} s)")
        first = f"{pictures[0] - begun:.2f} s" if pictures else "none"
        print(
            f"             first picture after {first}; the result is on the screen "
            f"{shown[-1] - done[-1]:.2f} s after it is here"
        )
    gaps.timer.stop()
    viewer.close()


if __name__ == "__main__":
    main()
