"""Preferences > CoSynth: what a new dock starts with, from the manifest's ``configurations``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PLUGIN = "napari-cosynth"


@dataclass(frozen=True)
class Preferences:
    """The user's settings, or the manifest's defaults."""

    device: str = "auto"
    steps: int = 20
    checkpoints: Path | None = None
    """A folder of checkpoint folders; None where none is set or it is not there."""


def read_preferences() -> Preferences:
    """What napari's settings hold for this plugin; the defaults before napari 0.9 and without it."""
    try:
        from napari.settings import get_plugin_settings

        values = get_plugin_settings(PLUGIN).synthesis
    except (ImportError, KeyError):  # no plugin settings in this napari; the plugin is disabled
        return Preferences()
    folder = Path(str(values.checkpoints)).expanduser() if values.checkpoints else None
    there = folder if folder is not None and folder.is_dir() else None
    return Preferences(str(values.device), int(values.steps), there)
