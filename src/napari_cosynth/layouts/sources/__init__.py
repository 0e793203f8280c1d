"""Layouts from what exists: files of other programs, labels, images."""
