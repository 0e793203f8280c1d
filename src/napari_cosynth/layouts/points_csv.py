"""The old import path of ``layouts.sources.points_csv``, for programs that still use it."""

from napari_cosynth.layouts.sources.points_csv import read_layout, read_points, write_layout

__all__ = ["read_layout", "read_points", "write_layout"]
