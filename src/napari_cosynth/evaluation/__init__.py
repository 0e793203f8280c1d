"""Records -> metrics -> report: pure functions over numpy arrays, each with its source."""
