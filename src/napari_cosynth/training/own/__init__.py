"""Training on one's own tiles: a recipe for a folder, what it takes, a run beside a window."""
