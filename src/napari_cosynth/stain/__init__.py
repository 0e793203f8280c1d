"""Haematoxylin and eosin: separation, jitter, normalisation to a reference."""
