"""Writer of the results with a tick as one training stack, off the GUI thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari.components import ViewerModel

from napari_cosynth.export.stack import Described, append_stack
from napari_cosynth.widget.result.sample_list import Key
from napari_cosynth.widget.result.saving import Group, described_sample, stack_folder
from napari_cosynth.widget.result.shown import ShownResult


def writer_of(viewer: ViewerModel, kept: list[Key], path: Path) -> Callable[[], Path]:
    """A function that writes the samples as a training stack, or appends them, and returns the folder.

    The arrays are taken from the layers now; the function needs no GUI. ``path`` is the stack's folder or
    its description file. Raises ValueError now if a result is gone. The function raises ValueError or
    OSError, and then leaves an existing stack as it was.
    """
    groups: dict[str, Group] = {}
    for name, _ in kept:
        if name not in groups:
            shown = ShownResult(viewer, name)
            groups[name] = shown.group(shown.own_layout)

    def write() -> Path:
        items: list[Described] = [described_sample(groups[name], i) for name, i in kept]
        return append_stack(items, stack_folder(path))

    return write
