"""The results with a tick, across layers, as one training stack: written off the GUI thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari.components import ViewerModel
from napari.qt.threading import create_worker

from napari_cosynth.export.stack import Described, append_stack
from napari_cosynth.widget.result.sample_list import Key
from napari_cosynth.widget.result.saving import Group, described_sample, stack_folder
from napari_cosynth.widget.result.shown import ShownResult
from napari_cosynth.widget.run.worker import Failure


def save_kept(
    viewer: ViewerModel, kept: list[Key], path: Path, saved: Callable[[Path | Failure], None]
) -> None:
    """Writes the samples as a training stack, or appends them to one.

    ``path`` is the stack's folder or its description in it; ``saved`` gets the folder, or why it is
    as it was, on the GUI thread.
    """
    groups: dict[str, Group] = {}
    for name, _ in kept:
        if name not in groups:
            shown = ShownResult(viewer, name)
            groups[name] = shown.group(shown.own_layout)
    worker = create_worker(_write, groups, kept, path, _start_thread=False)
    worker.returned.connect(saved)
    worker.start()


def _write(groups: dict[str, Group], kept: list[Key], path: Path) -> Path | Failure:
    try:
        items: list[Described] = [described_sample(groups[name], i) for name, i in kept]
        return append_stack(items, stack_folder(path))
    except (ValueError, OSError) as error:
        return Failure(error)
