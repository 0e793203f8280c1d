"""Training on Lightning: recipes, data, module, run. Imports neither napari nor Qt."""
