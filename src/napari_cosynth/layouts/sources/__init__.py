"""Layouts from existing nuclei: files of other programs, label images, H&E images."""
