"""What a layer does not tell, asked of the user."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QApplication, QDialog, QFileDialog, QInputDialog, QMainWindow, QWidget

from napari_cosynth.widget.qt.mpp_dialog import MppDialog


def window() -> QWidget | None:
    """napari's window: a dialog of its own would have another theme, and could get behind it."""
    active = QApplication.activeWindow()
    if isinstance(active, QMainWindow):
        return active
    windows = [w for w in QApplication.topLevelWidgets() if isinstance(w, QMainWindow)]
    seen = [w for w in windows if w.isVisible()]
    return seen[-1] if seen else None


def ask_class(names: list[str]) -> str | None:
    """Which class the points of a layer without a ``class`` column are; None if the user cancels."""
    name, accepted = QInputDialog.getItem(
        window(), "CoSynth", "This layer's points have no class. They are all:", names, 0, False
    )
    return name if accepted else None


def ask_layer(names: list[str]) -> str | None:
    """The look of which layer is to be followed; None if the user cancels."""
    name, accepted = QInputDialog.getItem(
        window(), "CoSynth", "Follow the look of this layer:", names, 0, False
    )
    return name if accepted else None


def ask_mpp(name: str) -> float | None:
    """The µm/px of a layer that does not tell; None if the user cancels."""
    dialog = MppDialog(name, window())
    accepted = dialog.exec() == QDialog.DialogCode.Accepted
    return float(dialog.number.value()) if accepted else None


def ask_stack(parent: QWidget) -> Path | None:
    """Where to save a training stack: a new folder, or the description of one to append to; None if the
    user cancels."""
    path, _ = QFileDialog.getSaveFileName(
        parent,
        "A new training stack, or the cosynth.json of one to append to",
        options=QFileDialog.Option.DontConfirmOverwrite,
    )
    return Path(path) if path else None
