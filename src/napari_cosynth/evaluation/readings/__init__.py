"""Blind readings: the page for readers, and the scores of their answers."""
