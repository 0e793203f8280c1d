"""Metrics as pure functions over arrays, each with its source; intervals."""
