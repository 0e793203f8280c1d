"""Layouts to rasters and back: point maps, distance maps, instance separation, prompts."""
