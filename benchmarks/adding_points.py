"""How long one added point takes in large layouts, with the dock watching them and without it.

xvfb-run -a python benchmarks/adding_points.py [--counts 10000 100000]
"""

from __future__ import annotations

import argparse
import time

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_cosynth.types import Layout
from napari_cosynth.types.classes import BUNDLED
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers.layout import layout_layer
from napari_cosynth.widget.layers.placement import Placement

SIDE = 4096
REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    options = parser.parse_args()
    viewer = napari.Viewer()
    panel = CoSynthPanel(viewer)
    viewer.window.add_dock_widget(panel, name="CoSynth")
    rng = np.random.default_rng(0)
    placement = Placement((SIDE, SIDE), 0.5, 0.5)
    for count in options.counts:
        points = rng.uniform(0, SIDE - 1, (count, 2)).astype(np.float32)
        ids = rng.integers(1, len(BUNDLED), count).astype(np.uint8)
        layer = layout_layer(Layout(points, ids, placement.shape, 0.5, BUNDLED), placement)
        viewer.add_layer(layer)
        for watched in (False, True):
            if watched:
                panel.layout_controls.use_layer(layer)
            times = []
            for row in range(REPEATS):
                begun = time.perf_counter()
                layer.add([[row, 7 * row]])
                QApplication.processEvents()
                times.append(1000 * (time.perf_counter() - begun))
            frames = []
            for _ in range(REPEATS):
                begun = time.perf_counter()
                layer.refresh(thumbnail=False, extent=False)
                layer.events.opacity()  # as if it had changed: the canvas is painted again
                QApplication.processEvents()
                frames.append(1000 * (time.perf_counter() - begun))
            who = "with the dock" if watched else "napari alone"
            print(
                f"{count:7,} points, {who:13}: median {np.median(times):6.1f} ms a point, "
                f"a repainted frame alone {np.median(frames):6.1f} ms"
            )
    viewer.close()


if __name__ == "__main__":
    main()
