"""Changes of a result's nuclei before it is saved: drop, re-tag and repaint, with undo and redo."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from napari.components import ViewerModel

from napari_cosynth.records.refine import without_nuclei
from napari_cosynth.types import Record
from napari_cosynth.widget.result.corrections import Painting, painting_of, put_painting
from napari_cosynth.widget.result.review import of_class
from napari_cosynth.widget.result.sample_list import Key, samples_in
from napari_cosynth.widget.result.saving import Group, record_of
from napari_cosynth.widget.result.shown import ShownResult

MOST_STATES = 20


@dataclass(frozen=True)
class State:
    """State of a sample before a step."""

    key: Key
    record: Record
    painting: Painting
    made: Record | None
    """The sample as it was made or read; it tells whether another result has taken the name since."""


class Drops:
    """Changes of a viewer's results, with undo and redo, last in, first out.

    Undo restores the sample as it was before the step; redo restores also what was painted later.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self._past: list[State] = []
        self._future: list[State] = []

    @property
    def can_undo(self) -> bool:
        return any(map(self._is_there, self._past))

    @property
    def can_redo(self) -> bool:
        return any(map(self._is_there, self._future))

    def drop(self, key: Key, ids: Collection[int]) -> None:
        """Removes nuclei and their points from a result. Raises ValueError in one line if it cannot."""
        self._change(key, lambda record: without_nuclei(record, ids))

    def retag(self, key: Key, ids: Collection[int], name: str) -> None:
        """Gives nuclei and their points another class. Raises ValueError in one line if it cannot."""
        self._change(key, lambda record: of_class(record, ids, name))

    def _change(self, key: Key, change: Callable[[Record], Record]) -> None:
        state = self._state(key)
        before = state.record
        points = ShownResult(self.viewer, key[0]).agreed(key[1]).layout
        if len(before.layout) != len(points):
            raise ValueError(
                f"{before.source}: its points changed: press Re-separate or Update from instances"
            )
        after = change(before)
        self._remember(state)
        self._show(key, after)

    def remember(self, key: Key) -> None:
        """Records a sample's state, so that the next change of its image is a step of undo."""
        self._remember(self._state(key))

    def _remember(self, state: State) -> None:
        self._past = [*self._past, state][-MOST_STATES:]
        self._future.clear()

    def undo(self) -> Key | None:
        """Undoes the last step; returns the sample that changed, None if there is nothing to undo."""
        return self._step(self._past, self._future)

    def redo(self) -> Key | None:
        """Redoes the last undone step; returns the sample that changed, None if there is none."""
        return self._step(self._future, self._past)

    def _step(self, back: list[State], forth: list[State]) -> Key | None:
        while back and not self._is_there(back[-1]):
            back.pop()
        if not back:
            return None
        state = back[-1]
        forth.append(self._state(state.key))
        back.pop()
        self._show(state.key, state.record)
        put_painting(ShownResult(self.viewer, state.key[0]), state.key[1], state.painting)
        return state.key

    def _is_there(self, state: State) -> bool:
        """Whether the state's layers are in the viewer and still show the same sample."""
        return state.key in samples_in(self.viewer) and self._made(state.key) is state.made

    def _made(self, key: Key) -> Record | None:
        labels = ShownResult(self.viewer, key[0]).layers["labels"]
        # The metadata alone: the buttons check every state, and a layer's whole tuple is slow to make.
        tuples = {"labels": (labels.data, {"metadata": labels.metadata}, "labels")}
        return Group(key[0], tuples).raw(key[1])

    def _state(self, key: Key) -> State:
        """The sample's current state, with the points of its own layout if it has one."""
        shown = ShownResult(self.viewer, key[0])
        own = shown.own_layout
        record = shown.agreed(key[1]) if own is None else record_of(shown.group(own), key[1])
        return State(key, record, painting_of(shown, key[1]), self._made(key))

    def _show(self, key: Key, record: Record) -> None:
        shown = ShownResult(self.viewer, key[0])
        shown.show(record, key[1])
        shown.show_layout(record, key[1])
