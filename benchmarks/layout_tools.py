"""The layout dock at 100,000 points: what the GUI thread does per edit, and the tools' own times.

xvfb-run -a python benchmarks/layout_tools.py [--counts 10000 100000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_cosynth.layouts.drawn.spacing import pushed_apart, thinned, violators
from napari_cosynth.layouts.drawn.structures import (
    Spacing,
    disc,
    drawn_outline,
    filled,
    gland,
    stream,
)
from napari_cosynth.types import Layout
from napari_cosynth.types.classes import BUNDLED
from napari_cosynth.widget.docks.layout_dock import LayoutDock
from napari_cosynth.widget.layers.placement import Placement

SIDE = 4096
REPEATS = 3
LEAST = 8.0


def median(action: Callable[[], object]) -> str:
    """Medians of ``REPEATS``: by the clock, and of this process' own work where others work too."""
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter(), time.process_time()
        action()
        times.append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
    wall, own = 1000 * np.median(times, axis=0)
    return f"{wall:8.1f} ms, of that {own:8.1f} ms its own work"


def measure(dock: LayoutDock, count: int) -> None:
    """Prints a line per tool in a layout of so many points."""
    controls = dock.controls
    rng = np.random.default_rng(0)
    points = rng.uniform(0, SIDE - 1, (count, 2))
    ids = rng.integers(1, len(BUNDLED), count).astype(np.uint8)
    layout = Layout(points.astype(np.float32), ids, (SIDE, SIDE), 0.5, BUNDLED)
    layer = controls.add_layout(Placement((SIDE, SIDE), 0.5, 0.5), layout)
    QApplication.processEvents()
    everybody, shape = np.ones(count, bool), (SIDE, SIDE)
    spacing = Spacing(10.0, LEAST)
    path = np.array([[2000.0, x] for x in np.linspace(1000, 2000, 40)])
    region = disc((2000.0, 2000.0), (2000.0, 2100.0))
    outline = drawn_outline((2000.0, 2000.0), (2000.0, 2060.0), 0)
    editor = controls.editor
    assert editor is not None
    rows = np.arange(count)
    moved = [np.array(layer.data) + part for part in np.linspace(0.01, 0.1, REPEATS)]
    changes = iter(moved)
    few = rows < 100
    steps: dict[str, Callable[[], object]] = {
        "palette: counts, shares and bars": dock._show_counts,
        "violators (in the worker)": lambda: violators(points, LEAST),
        "thinned (in the worker)": lambda: thinned(points, LEAST, everybody),
        "pushed apart, 200 rounds (in the worker)": lambda: pushed_apart(
            points, LEAST, everybody, shape
        ),
        "gland of 60 px": lambda: gland(outline, spacing, shape, points, 0),
        "stream of 1000 x 60 px": lambda: stream(path, 60, spacing, shape, points, 0),
        "field of 100 px": lambda: filled(*region, spacing, shape, points, 0),
        "100 points moved, as one step of undo": lambda: editor.replace(
            next(changes), ids, rows, few
        ),
        "undo": editor.undo,
    }
    for name, step in steps.items():
        print(f"{count:7,} points: {name:42s} {median(step)}", flush=True)
    dock.viewer.layers.remove(layer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    options = parser.parse_args()
    viewer = napari.Viewer()
    dock = LayoutDock(viewer)
    viewer.window.add_dock_widget(dock, name="layout tools")
    for count in options.counts:
        measure(dock, count)


if __name__ == "__main__":
    main()
