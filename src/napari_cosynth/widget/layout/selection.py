"""The layout dock's section for existing points: mirror, rotate, scale, jitter, keep apart."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
from magicgui.widgets import FloatSpinBox, Label, PushButton
from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_cosynth.layouts.drawn import transforms
from napari_cosynth.layouts.drawn.spacing import pushed_apart, thinned, too_near, violators
from napari_cosynth.widget.layers.layout import class_ids_of, placement_from
from napari_cosynth.widget.layout.layout_controls import LayoutControls
from napari_cosynth.widget.layout.points import LayoutEditor
from napari_cosynth.widget.layout.usual import CLOSE
from napari_cosynth.widget.qt.forms import column_in, form, side_by_side
from napari_cosynth.widget.run.background import Background

SETTLE_MS = 150
"""Delay in ms before close points are counted: edits in quick succession are counted once."""
Places = npt.NDArray[np.float64]


class SelectionControls(QWidget):
    """Form for the selected points, or all if none is selected; each press is one step of undo."""

    def __init__(self, layout: LayoutControls) -> None:
        super().__init__()
        self._layout = layout
        self._work = Background("spacing")
        self._seeds = itertools.count()
        self.mirror = {1: PushButton(text="Mirror ↔"), 0: PushButton(text="Mirror ↕")}
        self.rotate = PushButton(text="Rotate")
        self.degrees = FloatSpinBox(value=90.0, min=-360.0, max=360.0, step=15.0, label="Degrees")
        self.scale = PushButton(text="Scale")
        self.factor = FloatSpinBox(value=1.2, min=0.05, max=20.0, step=0.1, label="Factor")
        self.jitter = PushButton(text="Jitter")
        self.spread = FloatSpinBox(value=1.0, min=0.0, max=50.0, step=0.5, label="Jitter")
        self.least = FloatSpinBox(value=CLOSE, min=0.0, max=100.0, step=0.5, label="Nearest")
        self._suggested = CLOSE
        self.found = Label(value="")
        self.select = PushButton(text="Select")
        self.remove = PushButton(text="Remove")
        self.push = PushButton(text="Push apart")
        for number in (self.degrees, self.factor, self.spread, self.least):
            number.native.setDecimals(1)
        self.degrees.tooltip = "By how many degrees Rotate turns, clockwise"
        self.factor.tooltip = "How many times as far apart Scale brings them"
        self.spread.tooltip = "The standard deviation of Jitter, in µm"
        self.mirror[1].tooltip = "Exchange left and right"
        self.mirror[0].tooltip = "Exchange top and bottom"
        self.rotate.tooltip = "Turn clockwise about the middle, by so many degrees"
        self.scale.tooltip = "So many times as far from the middle"
        self.jitter.tooltip = "Move each point at random, with this standard deviation in µm"
        self.least.tooltip = "Nuclei nearer to each other than this, in µm, are too near"
        self.found.tooltip = "Points that have another one nearer than that"
        self.select.tooltip = "Select the points that are too near to another"
        self.remove.tooltip = "Remove as few as need be, so that none is too near to another"
        self.push.tooltip = "Move them until none is too near to another"
        self._words = [Label(value=text) for text in ("°", "×", "µm", "µm")]
        degree, times, micron, unit = self._words
        box = column_in(self)
        box.addWidget(side_by_side(self.mirror[1], self.mirror[0]))
        box.addWidget(
            side_by_side(self.rotate, self.degrees, degree, self.scale, self.factor, times)
        )
        box.addWidget(side_by_side(self.jitter, self.spread, micron))
        box.addWidget(form(("Nearest", [self.least, unit, self.found])))
        box.addWidget(side_by_side(self.select, self.remove, self.push))
        self.buttons = (
            *self.mirror.values(),
            *(self.rotate, self.scale, self.jitter, self.select, self.remove, self.push),
        )
        for axis, button in self.mirror.items():
            button.changed.connect(
                partial(self._transform, partial(transforms.mirrored, axis=axis))
            )
        self.rotate.changed.connect(self._rotate)
        self.scale.changed.connect(self._scale)
        self.jitter.changed.connect(self._jitter)
        self.select.changed.connect(self._select)
        self.remove.changed.connect(self._remove)
        self.push.changed.connect(self._push)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MS)
        self._timer.timeout.connect(self._count)
        self.least.changed.connect(lambda: self._timer.start())
        self._hear = partial(SelectionControls._on_edited, self)
        layout.edited.connect(self._hear)
        layout.switched.connect(self._hear)
        self._on_edited()

    @property
    def busy(self) -> bool:
        """Whether points are being counted, removed or pushed."""
        return self._work.busy or self._timer.isActive()

    def let_go(self) -> None:
        """Disconnects and ends the background work, because the dock is being destroyed."""
        self._layout.edited.disconnect(self._hear)
        self._layout.switched.disconnect(self._hear)
        self._work.close()

    def _on_edited(self) -> None:
        editor = self._layout.editor
        for button in self.buttons:
            button.enabled = editor is not None
        if editor is None:
            self.found.value = ""
        else:
            self._timer.start()

    # -- transforms

    def _rotate(self) -> None:
        self._transform(partial(transforms.rotated, degrees=float(self.degrees.value)))

    def _scale(self) -> None:
        self._transform(partial(transforms.scaled, factor=float(self.factor.value)))

    def _jitter(self) -> None:
        editor = self._layout.editor
        if editor is not None:
            spread = float(self.spread.value) / placement_from(editor.layer).mpp
            seed = next(self._seeds)
            self._transform(partial(transforms.jittered, spread=spread, seed=seed))

    def _transform(self, change: Callable[[Places], Places], _: object = None) -> None:
        editor = self._layout.editor
        if editor is None or not len(editor.layer.data):
            return
        chosen = chosen_rows(editor)
        data = np.array(editor.layer.data, np.float64)
        data[chosen] = change(data[chosen])
        _put(editor, data, np.arange(len(data)), chosen)

    # -- least distances

    def suggest(self, least: float) -> None:
        """Sets the least distance in µm usual for the model's classes, unless the user chose another."""
        if self.least.value == self._suggested:
            self.least.value = self._suggested = least

    def _least(self, editor: LayoutEditor) -> float:
        return float(self.least.value) / placement_from(editor.layer).mpp

    def _count(self) -> None:
        editor = self._layout.editor
        if editor is None:
            return
        data, least = np.array(editor.layer.data), self._least(editor)

        def show(near: npt.NDArray[np.bool_]) -> None:
            count = int(near.sum())
            self.found.value = f"{count:,} too near" if count else "none too near"

        self._work.do(lambda: violators(data, least), show)

    def _select(self) -> None:
        editor = self._layout.editor
        if editor is None:
            return
        data, least = np.array(editor.layer.data), self._least(editor)

        def show(near: npt.NDArray[np.bool_]) -> None:
            if _same(editor, data):
                editor.layer.mode = "select"
                editor.layer.selected_data = set(np.flatnonzero(near).tolist())

        self._work.do(lambda: violators(data, least), show)

    def _remove(self) -> None:
        editor = self._layout.editor
        if editor is None:
            return
        data, least, movable = np.array(editor.layer.data), self._least(editor), chosen_rows(editor)

        def put(stays: npt.NDArray[np.bool_]) -> None:
            if stays.all():
                show_info("no point was too near to another")
            elif _same(editor, data):
                rows = np.flatnonzero(stays)
                _put(editor, data[rows], rows, np.zeros(len(rows), bool))
                show_info(f"removed {len(data) - len(rows):,} points")

        self._work.do(lambda: thinned(data, least, movable), put)

    def _push(self) -> None:
        editor = self._layout.editor
        if editor is None:
            return
        data, least, movable = np.array(editor.layer.data), self._least(editor), chosen_rows(editor)
        selected = set(editor.layer.selected_data)
        shape = placement_from(editor.layer).shape

        def work() -> tuple[Places, int]:
            pushed = pushed_apart(data, least, movable, shape)
            return pushed, len(too_near(pushed, least))

        def put(found: tuple[Places, int]) -> None:
            pushed, left = found
            moved = (pushed != data).any(1)
            if not _same(editor, data):
                return
            if moved.any():
                _put(editor, pushed, np.arange(len(data)), moved)
                editor.select(selected)
            if left:
                show_warning(
                    f"{left:,} pairs found no room: remove some points, or lower the distance"
                )

        self._work.do(work, put)


def chosen_rows(editor: LayoutEditor) -> npt.NDArray[np.bool_]:
    """Mask of the selected points, or of all if none is selected, bool (N,)."""
    count = len(editor.layer.data)
    rows = sorted(editor.layer.selected_data)
    chosen = np.zeros(count, bool)
    chosen[rows] = True
    return chosen if rows else np.ones(count, bool)


def _put(
    editor: LayoutEditor,
    data: Places,
    rows: npt.NDArray[np.int64],
    changed: npt.NDArray[np.bool_],
) -> None:
    ids = class_ids_of(editor.layer, editor.classes)[rows]
    everything = bool(changed.all())
    editor.replace(data, ids, rows, changed)
    if everything:  # the user had selected none
        editor.layer.selected_data = set()


def _same(editor: LayoutEditor, data: Places) -> bool:
    """Whether the points are still those that the work began with; warns if not."""
    same = np.array_equal(editor.layer.data, data)
    if not same:
        show_warning("the layout changed meanwhile: press again")
    return same
