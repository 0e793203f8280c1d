"""Readers of annotated nuclei, a module a format; which format a folder is in."""
