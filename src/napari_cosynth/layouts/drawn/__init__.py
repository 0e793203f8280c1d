"""Layouts drawn by rule or by hand: patterns, strokes, structures, least distances."""
