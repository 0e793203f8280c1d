"""Preferences > CoSynth: settings of a new dock; the manifest declares them in ``configurations``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import QStandardPaths

from napari_cosynth.known import OWN_FOLDER

PLUGIN = "napari-cosynth"
OWN = "napari-cosynth"
"""Folder inside the user's data folder, for models trained in the window and their runs."""
CHECKPOINTS, RUNS = "checkpoints", "runs"


@dataclass(frozen=True)
class Preferences:
    """The user's settings, or the manifest's defaults."""

    device: str = "auto"
    steps: int = 0
    """Steps of a new form; 0: the checkpoint's usual number."""
    checkpoints: Path | None = None
    """Folder of checkpoint folders: the one in the settings, else the environment's COSYNTH_CHECKPOINTS,
    else the folder of models trained in the window; None if none of them exists."""


def read_preferences() -> Preferences:
    """This plugin's settings in napari; the defaults if napari is older than 0.9 or has none for it."""
    try:
        from napari.settings import get_plugin_settings

        values = get_plugin_settings(PLUGIN).synthesis  # type: ignore[attr-defined]
    except (ImportError, KeyError):  # no plugin settings in this napari; the plugin is disabled
        return Preferences(checkpoints=_folder(""))
    return Preferences(
        str(values.device), int(values.steps), _folder(str(values.checkpoints or ""))
    )


def own_folder(name: str) -> Path:
    """Path of one of our folders inside the user's data folder; it need not exist yet."""
    data = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    return Path(data) / OWN / name


def _folder(name: str) -> Path | None:
    for place in (name, os.environ.get(OWN_FOLDER, ""), str(own_folder(CHECKPOINTS))):
        folder = Path(place).expanduser()
        if folder != Path() and folder.is_dir():
            return folder
    return None
