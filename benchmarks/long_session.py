"""Many samples in one session of napari: memory, threads, open files and layers of it as it goes on.

    xvfb-run -a python benchmarks/long_session.py [--samples 1000] [--tiny]

A real window with the docks CoSynth and gallery, and the sampling process. Again and again: seven
variations for the gallery, a sample of its own, and two edits with Live on (a nucleus added, one
removed). The newest of the gallery is kept, an earlier one shown and the run's own discarded, as
somebody would who looks for a few good ones. Memory is the resident memory of the window's process and
of the sampling process.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import threading
import time
from pathlib import Path

import napari
import numpy as np
import psutil
from qtpy.QtWidgets import QApplication

from generating import tiny
from gui_stalls import tiled, wait
from napari_cosynth.types import Synthesis
from napari_cosynth.widget.docks import preferences
from napari_cosynth.widget.docks.gallery_dock import GalleryDock
from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.gallery import session
from napari_cosynth.widget.layers.placement import free_placement
from napari_cosynth.widget.run import speed

PATIENCE = 300
VARIATIONS = 7
COLUMNS = (
    "samples", "window, MiB", "sampling, MiB", "threads (Python's)", "its threads", "files", "layers",
    "in the gallery",
)  # fmt: skip


class Session:
    """A window and what is done in it."""

    def __init__(self, size: int, checkpoint: str | None) -> None:
        self.viewer = napari.Viewer()
        self.panel = CoSynthPanel(self.viewer)
        self.viewer.window.add_dock_widget(self.panel, name="CoSynth")
        self.dock = GalleryDock(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="CoSynth gallery")
        if checkpoint is not None:
            self.panel.model.use(checkpoint)
        layout = tiled(256)
        keep = (layout.centroids < size - 0.5).all(1)
        classes = self.panel.model.facts.classes if checkpoint else layout.classes
        ids = 1 + (layout.class_ids[keep] - 1) % (len(classes) - 1)
        layout = type(layout)(layout.centroids[keep], ids, (size, size), layout.mpp, classes)
        place = free_placement(layout.shape, layout.mpp, [])
        self.layer = self.panel.layout_controls.add_layout(place, layout)
        self.rng, self.size, self.done, self.seed = np.random.default_rng(0), size, 0, 1000
        self.settled = False
        self.panel.runner.sampled.connect(self._count)
        self.panel.live.shown.connect(self._on_shown)

    def _count(self, _: object) -> None:
        self.done += 1

    def _on_shown(self, sample: Synthesis) -> None:
        full = sample.request.steps == self.panel.sampling.steps.value
        self.settled = full and len(sample.record.layout) == len(self.layer.data)

    def rest(self) -> None:
        """Until Live has shown the layout as it is now, with all steps."""
        wait(lambda: self.settled, PATIENCE)
        self.settled = False
        self.settle()

    def settle(self) -> None:
        panel, gallery = self.panel, self.panel.gallery
        wait(lambda: not (panel.runner.busy or panel.live.busy or gallery.busy), PATIENCE)
        QApplication.processEvents()

    def round(self) -> None:
        self.panel.vary(tuple(range(self.seed, self.seed + VARIATIONS)))
        self.seed += VARIATIONS
        self.settle()
        gallery = self.panel.gallery
        gallery.keep([gallery.rowCount() - 1], True)
        gallery.show(max(0, gallery.rowCount() - 3))
        self.panel.start()
        self.settle()
        gallery.discard([gallery.rowCount() - 1])
        self.settle()
        self.settled = False
        self.panel.sampling.live.value = True
        self.rest()
        self.layer.add(self.rng.uniform(4, self.size - 5, (1, 2)))
        self.rest()
        self.layer.remove([int(self.rng.integers(len(self.layer.data)))])
        self.rest()
        self.panel.sampling.live.value = False
        self.settle()

    def figures(self) -> list[str]:
        gc.collect()
        own = psutil.Process()
        others = own.children(recursive=True)
        sizes = [p.memory_info().rss / 2**20 for p in (own, *others)]
        return [
            f"{self.done:,}",
            f"{sizes[0]:.1f}",
            f"{sum(sizes[1:]):.1f}",
            f"{own.num_threads()} ({threading.active_count()})",
            f"{sum(p.num_threads() for p in others)}",
            f"{own.num_fds()} + {sum(p.num_fds() for p in others)}",
            f"{len(self.viewer.layers)}",
            f"{self.panel.gallery.rowCount()}",
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--tiny", action="store_true", help="a network of a few thousand weights")
    parser.add_argument("--every", type=int, default=5, help="rounds between two rows")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        speed.FILE = folder / "speed.json"
        session.FOLDER, preferences.OWN = folder / "sessions", folder / "own"
        checkpoint = str(tiny(folder / "tiny")) if options.tiny else None
        work = Session(options.size, checkpoint)
        if options.tiny:
            work.panel.sampling.steps.value = 2
        print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}", flush=True)
        begun, rounds = time.perf_counter(), 0
        while work.done < options.samples:
            work.round()
            rounds += 1
            if rounds == 1 or rounds % options.every == 0 or work.done >= options.samples:
                print(f"| {' | '.join(work.figures())} |", flush=True)
        print(f"\n{work.done:,} samples in {rounds} rounds, {time.perf_counter() - begun:.0f} s")
        work.viewer.close()


if __name__ == "__main__":
    main()
