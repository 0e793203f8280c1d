"""Questions to the user about facts that a layer does not have."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QApplication, QDialog, QFileDialog, QInputDialog, QMainWindow, QWidget

from napari_cosynth.widget.qt.mpp_dialog import MppDialog


def window() -> QWidget | None:
    """napari's main window, as parent of dialogs; None without one.

    A dialog without a parent would have another theme and could get behind the window.
    """
    active = QApplication.activeWindow()
    if isinstance(active, QMainWindow):
        return active
    windows = [w for w in QApplication.topLevelWidgets() if isinstance(w, QMainWindow)]
    seen = [w for w in windows if w.isVisible()]
    return seen[-1] if seen else None


def ask_class(names: list[str]) -> str | None:
    """The class for all points of a layer without a ``class`` column; None if the user cancels."""
    name, accepted = QInputDialog.getItem(
        window(), "CoSynth", "This layer's points have no class. They are all:", names, 0, False
    )
    return name if accepted else None


def ask_layer(names: list[str]) -> str | None:
    """Name of the layer whose look to follow; None if the user cancels."""
    name, accepted = QInputDialog.getItem(
        window(), "CoSynth", "Follow the look of this layer:", names, 0, False
    )
    return name if accepted else None


def ask_mpp(name: str) -> float | None:
    """The µm/px of a layer without one, as the user enters it; None if the user cancels."""
    dialog = MppDialog(name, window())
    accepted = dialog.exec() == QDialog.DialogCode.Accepted
    return float(dialog.number.value()) if accepted else None


def ask_stack(parent: QWidget) -> Path | None:
    """Path for saving a training stack, as the user chooses it; None if the user cancels.

    It is a new folder, or the description file of an existing stack to append to.
    """
    path, _ = QFileDialog.getSaveFileName(
        parent,
        "A new training stack, or the cosynth.json of one to append to",
        options=QFileDialog.Option.DontConfirmOverwrite,
    )
    return Path(path) if path else None
