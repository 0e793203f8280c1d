"""The train dock: a data set of one's own, a run in its own process, how it goes, and its model."""
