"""Nuclei taken out of a result before it is saved, with undo and redo."""

from __future__ import annotations

from collections.abc import Collection

from napari.components import ViewerModel

from napari_cosynth.data.refine import without_nuclei
from napari_cosynth.types import Record
from napari_cosynth.widget.sample_list import Key, samples_in
from napari_cosynth.widget.saving import record_of
from napari_cosynth.widget.shown import ShownResult

MOST_STATES = 20


class Drops:
    """What was dropped from a viewer's results, last in first out.

    Undo puts back the sample as it was; what was painted since can be had again by redo.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self._past: list[tuple[Key, Record]] = []
        self._future: list[tuple[Key, Record]] = []

    @property
    def can_undo(self) -> bool:
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        return bool(self._future)

    def drop(self, key: Key, ids: Collection[int]) -> None:
        """Takes nuclei and their points out of a result. Raises ValueError, in one line, if it cannot."""
        before = self._state(key)
        points = ShownResult(self.viewer, key[0]).agreed(key[1]).layout
        if len(before.layout) != len(points):
            raise ValueError(
                f"{before.source}: its points changed: press Re-separate or Update from instances"
            )
        after = without_nuclei(before, ids)
        self._past = [*self._past, (key, before)][-MOST_STATES:]
        self._future.clear()
        self._show(key, after)

    def undo(self) -> Key | None:
        """The sample that changed; None where there is nothing to undo."""
        return self._step(self._past, self._future)

    def redo(self) -> Key | None:
        """The sample that changed; None where there is nothing to redo."""
        return self._step(self._future, self._past)

    def _step(self, back: list[tuple[Key, Record]], forth: list[tuple[Key, Record]]) -> Key | None:
        there = samples_in(self.viewer)
        while back and back[-1][0] not in there:  # its layers were removed since
            back.pop()
        if not back:
            return None
        key, record = back[-1]
        forth.append((key, self._state(key)))
        back.pop()
        self._show(key, record)
        return key

    def _state(self, key: Key) -> Record:
        """The sample as it is drawn, with the points of its own layout where it has one."""
        shown = ShownResult(self.viewer, key[0])
        own = shown.own_layout
        return shown.agreed(key[1]) if own is None else record_of(shown.group(own), key[1])

    def _show(self, key: Key, record: Record) -> None:
        shown = ShownResult(self.viewer, key[0])
        shown.show(record, key[1])
        shown.show_layout(record, key[1])
