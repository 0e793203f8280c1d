"""The old import path of ``layouts.drawn.patterns``, for programs that still use it."""

from napari_cosynth.layouts.drawn.patterns import bundled_layouts

__all__ = ["bundled_layouts"]
