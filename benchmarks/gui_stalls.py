"""How long the window does not answer while a synthesis runs: percentiles of event-loop gaps.

    xvfb-run -a python benchmarks/gui_stalls.py [--backend thread|process] [--size 256] [--steps 20]

A 5 ms QTimer on the GUI thread writes down when it fires; what a tick comes late is a stall that a
mouse or a key would feel. The first run includes importing torch and reading the weights.
"""

from __future__ import annotations

import argparse
import sys
import time

import napari
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_cosynth.layouts.drawn.patterns import bundled_layouts
from napari_cosynth.types import Layout
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers.placement import free_placement
from napari_cosynth.widget.run.backend import InThread

INTERVAL_MS = 5


class Gaps:
    """Times between ticks, in milliseconds beyond the interval."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self._last: float | None = None
        self.timer = QTimer()
        self.timer.setInterval(INTERVAL_MS)
        self.timer.timeout.connect(self._tick)

    def _tick(self) -> None:
        now = time.perf_counter()
        if self._last is not None:
            self.late.append(max(0.0, 1000 * (now - self._last) - INTERVAL_MS))
        self._last = now

    def take(self) -> str:
        """The figures since the last call."""
        late, self.late, self._last = np.array(self.late), [], None
        # By time, not by tick: a stall of 500 ms is felt by whoever clicks in those 500 ms.
        felt = np.repeat(late, np.maximum(1, (late / INTERVAL_MS).astype(int)))
        return (
            f"ticks {late.size:5d}  p50 {np.percentile(late, 50):6.1f}  p99 "
            f"{np.percentile(late, 99):6.1f}  p99 by time {np.percentile(felt, 99):6.1f}  "
            f"max {late.max():6.1f} ms"
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


def _painted(times: list[float]) -> None:
    """Has Qt paint what was changed and writes down when it has."""
    QApplication.processEvents()
    times.append(time.perf_counter())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=("process", "thread"), default="process")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--preview", type=int, default=4)
    options = parser.parse_args()

    viewer = napari.Viewer()
    begun = time.perf_counter()
    panel = CoSynthPanel(viewer)
    if options.backend == "thread":
        panel.runner.backend = InThread()
    viewer.window.add_dock_widget(panel, name="CoSynth")
    torch = "imported" if "torch" in sys.modules else "not imported"
    print(f"dock opens in {time.perf_counter() - begun:.2f} s, torch is {torch}")
    layout = tiled(options.size)
    panel.layout_controls.add_layout(free_placement(layout.shape, layout.mpp, []), layout)
    panel.sampling.steps.value = options.steps
    panel.sampling.preview.value = options.preview
    wait(lambda: False, 1)
    gaps = Gaps()
    gaps.timer.start()
    wait(lambda: False, 3)
    print(f"idle:        {gaps.take()}")
    done: list[float] = []
    shown: list[float] = []
    panel.runner.sampled.connect(lambda _: done.append(time.perf_counter()), priority=1)
    panel.sampled.connect(lambda _: _painted(shown))
    for name in ("first run", "second run", "third run"):
        begun = time.perf_counter()
        panel.start()
        wait(lambda: not panel.runner.busy, 600)
        print(f"{name + ':':12} {gaps.take()}  ({time.perf_counter() - begun:.1f} s)")
        print(
            f"             the result is on the screen {shown[-1] - done[-1]:.2f} s after it is here"
        )
    gaps.timer.stop()
    viewer.close()


if __name__ == "__main__":
    main()
