"""What a layer does not tell, asked of the user."""

from __future__ import annotations

from qtpy.QtWidgets import QInputDialog


def ask_class(names: list[str]) -> str | None:
    """Which class the points of a layer without a ``class`` column are; None if the user cancels."""
    name, accepted = QInputDialog.getItem(
        None, "CoSynth", "This layer's points have no class. They are all:", names, 0, False
    )
    return name if accepted else None


def ask_layer(names: list[str]) -> str | None:
    """The look of which layer is to be followed; None if the user cancels."""
    name, accepted = QInputDialog.getItem(
        None, "CoSynth", "Follow the look of this layer:", names, 0, False
    )
    return name if accepted else None


def ask_mpp(name: str) -> float | None:
    """The µm/px of a layer that does not tell; None if the user cancels."""
    value, accepted = QInputDialog.getDouble(
        None, "CoSynth", f"{name}: micrometres per pixel?", 0.5, 0.01, 100.0, 4
    )
    return float(value) if accepted else None
