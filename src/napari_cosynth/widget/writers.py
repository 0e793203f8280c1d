"""File > Save: the layers of results -> a training stack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_cosynth.widget.readers import LayerTuple
from napari_cosynth.widget.saving import save_layers


def write_training_stack(path: str, layers: Sequence[LayerTuple]) -> list[str]:
    """npe2's writer around :func:`save_layers`; returns the folder's path.

    Raises OSError with the reason in one line: napari swallows a writer's ValueError and reports
    only that nothing was saved.
    """
    try:
        return [str(save_layers(Path(path), layers))]
    except ValueError as error:
        raise OSError(str(error)) from None
