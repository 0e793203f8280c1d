"""Preferences > CoSynth: what a new dock starts with, from the manifest's ``configurations``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PLUGIN = "napari-cosynth"


@dataclass(frozen=True)
class Preferences:
    """The user's settings, or the manifest's defaults."""

    device: str = "auto"
    steps: int = 0
    """0: as many as the checkpoint usually takes."""
    checkpoints: Path | None = None
    """A folder of checkpoint folders, the shell's (COSYNTH_CHECKPOINTS) where none is set; None where
    there is none."""


def read_preferences() -> Preferences:
    """What napari's settings hold for this plugin; the defaults before napari 0.9 and without it."""
    try:
        from napari.settings import get_plugin_settings

        values = get_plugin_settings(PLUGIN).synthesis  # type: ignore[attr-defined]
    except (ImportError, KeyError):  # no plugin settings in this napari; the plugin is disabled
        return Preferences(checkpoints=_folder(""))
    return Preferences(
        str(values.device), int(values.steps), _folder(str(values.checkpoints or ""))
    )


def _folder(name: str) -> Path | None:
    folder = Path(name or os.environ.get("COSYNTH_CHECKPOINTS", "")).expanduser()
    return folder if folder != Path() and folder.is_dir() else None
