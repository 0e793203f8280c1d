"""File > Save: the layers of results -> a training stack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_cosynth.export.stack import DESCRIPTION, append_stack
from napari_cosynth.widget.readers import LayerTuple
from napari_cosynth.widget.saving import described_samples


def write_training_stack(path: str, layers: Sequence[LayerTuple]) -> list[str]:
    """Saves the results among some layers as a training stack, or appends them to one.

    ``path``: the stack's folder, new or existing, or the ``cosynth.json`` inside it. Returns the
    folder's path. Raises ValueError in one line, and writes nothing, where that cannot be.
    """
    folder = Path(path)
    if folder.name == DESCRIPTION:
        folder = folder.parent
    elif folder.is_file() or folder.suffix == ".json":
        raise ValueError(
            f"{folder}: a training stack is a folder; name a new one, or the {DESCRIPTION} in one"
        )
    return [str(append_stack(described_samples(layers), folder))]
