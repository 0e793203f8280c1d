"""A run: how to sample, where it is computed, how long it takes; live and into an image."""
