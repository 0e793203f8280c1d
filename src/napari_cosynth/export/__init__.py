"""Records -> files for other programs and for our own training."""
