"""napari-cosynth: from class-tagged points to a histopathology image, its labels and instances."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "ClassTable": "napari_cosynth.types",
    "Layout": "napari_cosynth.types",
    "Previews": "napari_cosynth.types",
    "Progress": "napari_cosynth.types",
    "Recipe": "napari_cosynth.types",
    "Record": "napari_cosynth.types",
    "Report": "napari_cosynth.types",
    "Request": "napari_cosynth.types",
    "Synthesis": "napari_cosynth.types",
    "inpaint": "napari_cosynth.synthesis.inpaint",
    "repaint": "napari_cosynth.synthesis.repaint",
    "resynthesize": "napari_cosynth.synthesis.resynthesize",
    "synthesize": "napari_cosynth.synthesis.synthesize",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    # Lazily, so that reading the plugin's manifest imports nothing heavy.
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
