"""Editing a layout: class of the next point, keys, refusal of unknown classes, marks and history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.layers import Points
from napari.utils.notifications import show_warning
from psygnal import Signal

from napari_cosynth.types import ClassTable
from napari_cosynth.widget.layers.appearance import class_cycle, smoothing
from napari_cosynth.widget.layers.layout import (
    NOTES,
    class_column,
    class_ids_of,
    class_table_of,
    current_class,
    layout_metadata,
    no_notes,
    placement_from,
    set_current_class,
    set_features,
    show_marks,
    shows_classes,
)
from napari_cosynth.widget.layers.placement import Placement, mpp_of, placement_of
from napari_cosynth.widget.layers.tags import KEY
from napari_cosynth.widget.layout.class_dialog import ask_classes
from napari_cosynth.widget.layout.history import History

CLASS_KEY = "Control"
"""Held with a number to choose a class. The numbers alone are napari's keys for its modes."""
UNDO, REDO = "Control-Z", "Control-Shift-Z"
_SETTLED = ("added", "removed", "changed")


def adopt(
    layer: Points,
    classes: ClassTable,
    mpp: float,
    shape: tuple[int, int],
    ask_class: Callable[[list[str]], str | None],
) -> bool:
    """Makes a layout of any Points layer; its points stay where they are.

    A ``class`` column may hold names of ``classes``, ids 1..K-1, or another program's names; the user is
    then asked which of ours they are. Without such a column ``ask_class`` is called once with our names.
    If the user does not answer, the layer stays as it was. ``shape`` is the canvas unless the layer has
    its own, and ``mpp`` the µm/px unless the layer has its own. Returns whether the layer is a layout
    now. Raises ValueError naming what does not fit.
    """
    if layer.ndim != 2:
        raise ValueError(f"{layer.name}: expected a 2D layer of points, got {layer.ndim}D")
    known = layer.metadata.get(KEY, {})
    placement = placement_of(
        layer,
        tuple(known.get("shape", shape)),
        float(known.get("mpp") or mpp_of(layer) or mpp),
    )
    names = np.array(classes.names, object)
    if "class" in layer.features and len(layer.data):
        ids = class_ids_of(layer, classes)
        column = names[ids]
        if (ids == 0).any():
            theirs = [str(v) for v in layer.features["class"][ids == 0]]
            mapping = ask_classes(theirs, classes, layer.name)
            if mapping is None:
                return False
            column[ids == 0] = [mapping[name] for name in theirs]
            if (left_out := np.flatnonzero(column == "")).size:
                layer.selected_data = set(left_out.tolist())
                layer.remove_selected()
                column = column[column != ""]
    elif len(layer.data):
        chosen = ask_class(list(classes.names[1:]))
        if chosen is None:
            return False
        column = np.full(len(layer.data), chosen, object)
    else:
        column = np.zeros(0, object)
    _make_layout(layer, classes, placement, column)
    return True


def _make_layout(
    layer: Points, classes: ClassTable, placement: Placement, names: npt.NDArray[Any]
) -> None:
    features = layer.features.copy()
    features["class"] = class_column(names, classes)
    if "note" not in features:
        features["note"] = no_notes(len(features))
    layer.features = features
    layer.metadata[KEY] = {
        **layer.metadata.get(KEY, {}),
        **layout_metadata(placement, classes, layer.name),
    }
    set_current_class(layer, classes.names[1])
    layer.face_color_cycle = class_cycle(classes)  # type: ignore[assignment]
    layer.face_color = "class"
    layer.antialiasing = smoothing(len(layer.data))
    show_marks(layer)


class LayoutEditor:
    """Watches one layout layer while the dock works on it."""

    edited = Signal()
    """Points were added, moved, removed or re-tagged, or an edit was undone or redone."""
    picked = Signal(str)
    """The class of the next point."""

    def __init__(self, layer: Points, history: History | None = None) -> None:
        """``history``: the layer's history from an earlier editor."""
        self.layer = layer
        self.classes = class_table_of(layer)
        self.history = history or History(layer)
        self.history.record()  # changes between two editors are one step of undo
        self._outside = self._find_outside()
        self._keys: list[str] = []
        show_marks(layer)
        layer.events.data.connect(self._on_data)
        layer.events.features.connect(self._on_features)
        layer.events.current_properties.connect(self._on_current)
        for number, name in enumerate(self.classes.names[1:10], start=1):
            self._bind(f"{CLASS_KEY}-{number}", self._picker(name))
        self._bind(UNDO, lambda _: self.undo())
        self._bind(REDO, lambda _: self.redo())

    def close(self) -> None:
        """Disconnects from the layer's events and unbinds its keys."""
        self.layer.events.data.disconnect(self._on_data)
        self.layer.events.features.disconnect(self._on_features)
        self.layer.events.current_properties.disconnect(self._on_current)
        for key in self._keys:
            self.layer.bind_key(key, None)

    def _bind(self, key: str, action: Callable[[Points], Any]) -> None:
        self.layer.bind_key(key, action, overwrite=True)
        self._keys.append(key)

    @property
    def current(self) -> str:
        return current_class(self.layer)

    def counts(self) -> npt.NDArray[np.int64]:
        """Number of points per class id, int64 (K,); at 0 those of no known class."""
        return np.bincount(class_ids_of(self.layer, self.classes), minlength=len(self.classes))

    def class_names(self) -> list[str]:
        """The classes that occur, in the table's order."""
        return [n for n, c in zip(self.classes.names, self.counts(), strict=True) if c]

    @property
    def outside(self) -> int:
        """Number of points outside the canvas."""
        return int(self._outside.sum())

    def pick(self, name: str) -> None:
        """Sets the class of the next point and, outside napari's add mode, of the selected points.

        In add mode the selection is the point just added, which keeps its class.
        """
        self.classes.index(name)
        set_current_class(self.layer, name)
        rows = np.array(sorted(self.layer.selected_data), np.int64)
        if rows.size and self.layer.mode != "add":
            features = self.layer.features.copy()
            codes = class_ids_of(self.layer, self.classes) - 1
            codes[rows] = self.classes.index(name) - 1
            features["class"] = pd.Categorical.from_codes(
                codes, categories=list(self.classes.names[1:])
            )
            features.loc[rows, "note"] = ""
            set_features(self.layer, features)

    def select(self, rows: set[int]) -> None:
        """Selects points and keeps the class of the next point; napari alone would take theirs."""
        upcoming = self.current
        self.layer.selected_data = rows
        set_current_class(self.layer, upcoming)

    def replace(
        self,
        data: npt.NDArray[Any],
        class_ids: npt.NDArray[np.integer[Any]],
        rows: npt.NDArray[np.int64],
        changed: npt.NDArray[np.bool_],
    ) -> None:
        """Replaces all points by ``data`` (N, 2) with ``class_ids`` (N,), as one step of undo.

        ``rows`` (N,) is the earlier row of each point, -1 for a new one. Points in the mask ``changed``
        (N,) lose their note and are selected afterwards.
        """
        old = self.layer.features
        features = old.iloc[rows.clip(0)] if len(old) else old.reindex(range(len(rows)))
        note = features["note"].astype(object).where((rows >= 0) & ~changed, "")
        features = features.reset_index(drop=True).assign(
            **{
                "class": pd.Categorical.from_codes(
                    np.asarray(class_ids, np.int64) - 1, categories=list(self.classes.names[1:])
                ),
                "note": pd.Categorical(note, categories=list(NOTES)),
            }
        )
        with self.history.paused():
            self.layer.selected_data = set()
            self.layer.data = np.asarray(data, np.float64).reshape(-1, 2)
            set_features(self.layer, features)
            self.select(set(np.flatnonzero(changed).tolist()))
        if self.history.record():
            show_marks(self.layer)
            self._after_edit()

    def _picker(self, name: str) -> Callable[[Points], None]:
        # A function, not a partial: napari reads each binding's __name__.
        def pick(layer: Points) -> None:
            self.pick(name)

        return pick

    def undo(self) -> None:
        if self.history.undo():
            self._after_edit()

    def redo(self) -> None:
        if self.history.redo():
            self._after_edit()

    def _on_data(self, event: Any) -> None:
        # napari emits each edit twice: before it, when there is no new state yet, and after it.
        if self.history.restoring or str(event.action.value) not in _SETTLED:
            return
        self._settle()

    def _on_features(self, event: Any) -> None:
        # Also emitted at each step of a drag; the data event comes only when the mouse is released.
        if self.history.restoring or len(self.layer.data) != len(self.history.present.data):
            return
        before = self.history.present.features["class"]
        if not self.layer.features["class"].equals(before):
            self._settle()

    def _on_current(self, event: Any) -> None:
        # Set here, or by napari, which takes the class of the selected points.
        if self.current in self.classes.names[1:]:
            self.picked.emit(self.current)

    def _settle(self) -> None:
        if (
            "class" not in self.layer.features
            or (class_ids_of(self.layer, self.classes) == 0).any()
        ):
            self.history.restore()
            if current_class(self.layer) not in self.classes.names[1:]:
                set_current_class(self.layer, self.classes.names[1])
            show_warning(
                f"{self.layer.name}: no such class; known are: " + ", ".join(self.classes.names[1:])
            )
            return
        if self.history.record():
            self._after_edit()

    def _after_edit(self) -> None:
        outside = self._find_outside()
        # Styling 100,000 points takes longer than adding one, so only if the marks change.
        if outside.any() or self._outside.any() or not shows_classes(self.layer):
            show_marks(self.layer)
        self._outside = outside
        self.edited.emit()

    def _find_outside(self) -> npt.NDArray[np.bool_]:
        return ~placement_from(self.layer).inside(self.layer.data)
