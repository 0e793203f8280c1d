"""napari layers of layouts, results, records and slides; their tags and placements."""
