"""Pure functions over arrays, each with its source; intervals."""
