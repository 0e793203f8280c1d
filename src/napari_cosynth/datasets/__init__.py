"""Readers of annotated nuclei, a module for each format; recognition of formats."""
