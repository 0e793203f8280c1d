"""The napari plugin: everything that knows Qt, napari and magicgui."""
