"""Layouts drawn by rule or by hand: patterns, strokes, structures, spacing of nuclei."""
