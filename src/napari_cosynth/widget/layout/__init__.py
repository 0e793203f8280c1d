"""Making and editing layouts: the Points layer, its tools, and where real nuclei come from."""
