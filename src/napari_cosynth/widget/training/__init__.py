"""The train dock: one's own data set, a run in its own process, its progress, and its model."""
