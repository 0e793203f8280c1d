"""Runs: sampling settings, the sampling process, expected times; Live, and runs into an image."""
