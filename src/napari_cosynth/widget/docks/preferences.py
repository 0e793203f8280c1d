"""Preferences > CoSynth: what a new dock starts with, from the manifest's ``configurations``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import QStandardPaths

from napari_cosynth.known import OWN_FOLDER

PLUGIN = "napari-cosynth"
OWN = "napari-cosynth"
"""Inside the user's data folder: models trained in the window, and their runs."""
CHECKPOINTS, RUNS = "checkpoints", "runs"


@dataclass(frozen=True)
class Preferences:
    """The user's settings, or the manifest's defaults."""

    device: str = "auto"
    steps: int = 0
    """0: as many as the checkpoint usually takes."""
    checkpoints: Path | None = None
    """A folder of checkpoint folders: where none is set the shell's (COSYNTH_CHECKPOINTS), then that of
    models trained in the window; None where there is none."""


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


def own_folder(name: str) -> Path:
    """One of our folders inside the user's data folder, which need not be there yet."""
    data = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    return Path(data) / OWN / name


def _folder(name: str) -> Path | None:
    for place in (name, os.environ.get(OWN_FOLDER, ""), str(own_folder(CHECKPOINTS))):
        folder = Path(place).expanduser()
        if folder != Path() and folder.is_dir():
            return folder
    return None
