"""The name that programs written for earlier folders import."""

from napari_cosynth.layouts.drawn.patterns import bundled_layouts

__all__ = ["bundled_layouts"]
