"""Opens napari with the dock and a sample layout: ``python tools/run_napari.py [gland|tumour|...]``."""

from __future__ import annotations

import argparse

import napari

from napari_cosynth.layouts.drawn.patterns import PATTERNS

PLUGIN = "napari-cosynth"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layout", nargs="?", choices=list(PATTERNS), default="gland")
    chosen = parser.parse_args()
    viewer = napari.Viewer(title="CoSynth")
    viewer.window.add_plugin_dock_widget(PLUGIN, "CoSynth")
    viewer.open_sample(PLUGIN, chosen.layout)
    napari.run()


if __name__ == "__main__":
    main()
