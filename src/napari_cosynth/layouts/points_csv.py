"""The name that programs written for earlier folders import."""

from napari_cosynth.layouts.sources.points_csv import read_layout, read_points, write_layout

__all__ = ["read_layout", "read_points", "write_layout"]
