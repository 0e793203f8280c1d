"""Where layouts come from."""
