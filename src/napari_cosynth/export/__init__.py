"""Records -> files that other programs and our own training read."""
