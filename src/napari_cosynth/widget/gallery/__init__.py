"""The samples of a session: kept or discarded, and safe from a crash."""
