"""The documentation's site: `make docs` builds it into docs/_build, with no network."""

from __future__ import annotations

import napari_cosynth

project = "napari-cosynth"
author = "The napari-cosynth developers"
release = napari_cosynth.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "limits.md"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
nitpicky = False

html_theme = "furo"
html_title = f"napari-cosynth {release}"
html_show_sphinx = False

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_class_signature = "separated"
autodoc_default_options = {"members": True, "undoc-members": False}
# What the API pages need nothing of.
autodoc_mock_imports = ["napari", "qtpy", "magicgui"]
