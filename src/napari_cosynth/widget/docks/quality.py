"""The quality dock: a table of a result's nuclei, to check and drop them before the result is saved."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from magicgui.widgets import ComboBox, Label, PushButton
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_cosynth.widget.docks.companion import panel_of
from napari_cosynth.widget.docks.review_row import ReviewRow
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.tags import read_tag
from napari_cosynth.widget.qt.camera import bring_into_view
from napari_cosynth.widget.qt.errors import tell, told
from napari_cosynth.widget.qt.forms import allow, column_in, side_by_side
from napari_cosynth.widget.qt.listening import Hearing
from napari_cosynth.widget.qt.questions import ask_stack
from napari_cosynth.widget.qt.staying import Staying, Tabbed, docked
from napari_cosynth.widget.result.corrections import Wanted
from napari_cosynth.widget.result.drop_row import DropRow
from napari_cosynth.widget.result.dropping import Drops
from napari_cosynth.widget.result.kept import writer_of
from napari_cosynth.widget.result.marks import Marks
from napari_cosynth.widget.result.nuclei import NucleusTable, nucleus_table
from napari_cosynth.widget.result.nuclei_model import NucleusModel
from napari_cosynth.widget.result.nuclei_view import (
    EVERY_CLASS,
    EVERY_FLAG,
    FLAG_CHOICES,
    NucleusView,
)
from napari_cosynth.widget.result.sample_list import Key, SampleList, samples_in
from napari_cosynth.widget.result.shown import ShownResult
from napari_cosynth.widget.run.background import Background

SETTLED_MS = 150
"""Delay in ms before the table is measured again: a brush stroke sends many events a second."""


class QualityPanel(Tabbed):
    """Dock for checking a result nucleus by nucleus. npe2 passes the viewer."""

    title = "Quality"

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.model = NucleusModel(self)
        self.view = NucleusView(self.model)
        self.samples = SampleList()
        self.drops = Drops(napari_viewer)
        self.class_choice = ComboBox(choices=[EVERY_CLASS], value=EVERY_CLASS, label="Class shown")
        self.flag_choice = ComboBox(choices=FLAG_CHOICES, value=EVERY_FLAG, label="Flag shown")
        self.class_choice.tooltip = "The class whose nuclei the table lists"
        self.flag_choice.tooltip = "What the listed nuclei have been flagged for"
        self.review = ReviewRow(napari_viewer, self.view, self.drops)
        self.dropping = DropRow(self.model, self.view, self.drops)
        self.save = PushButton(text="Save kept as stack…")
        self.status = Label(value="")
        self._marks: dict[Key, set[int]] = {}
        self._shown_key: Key | None = None
        self._asked = self._answered = 0
        self._saving = False
        self._measures, self._writes = Background("quality"), Background("saving")
        self.marks = Marks()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLED_MS)
        self._viewer_events, self._layer_events = Hearing(), Hearing()
        self._lay_out()
        self._connect()
        self._listen()
        self.refresh()

    def _lay_out(self) -> None:
        self.save.tooltip = (
            "Save the results with a tick as a training stack, or append them to one"
        )
        self.status.native.setWordWrap(True)
        self.status.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        box = column_in(self, 4, 4)
        box.addWidget(self.samples)
        box.addWidget(side_by_side(self.class_choice, self.flag_choice))
        box.addWidget(self.view, 1)
        box.addWidget(self.status.native)
        box.addWidget(self.review)
        box.addWidget(self.dropping)
        box.addWidget(side_by_side(self.save))

    def _connect(self) -> None:
        self._timer.timeout.connect(self.refresh)
        self.samples.currentItemChanged.connect(self._choose)
        self.samples.itemChanged.connect(self._show_buttons)
        self.view.went.connect(self.go_to)
        self.review.retagged.connect(self._measure)
        self.review.wanted.connect(self._repaint)
        self.model.marked_changed.connect(self._remember_marks)
        self.class_choice.changed.connect(self._filter)
        self.flag_choice.changed.connect(self._filter)
        self.dropping.dropped.connect(self._numbered_anew)
        self.save.changed.connect(told(self.ask_and_save))
        self._viewer_events.to(
            self.viewer.layers.events.inserted, partial(QualityPanel._listen, self)
        )
        self._viewer_events.to(
            self.viewer.layers.events.removed, partial(QualityPanel._listen, self)
        )
        self._viewer_events.to(
            self.viewer.dims.events.current_step, partial(QualityPanel._follow_slider, self)
        )
        self.destroyed.connect(self._viewer_events.end)
        self.destroyed.connect(self._layer_events.end)
        # The thread that measures ends with the dock; what is being saved is finished, and told.
        self.destroyed.connect(self._measures.close)
        self.destroyed.connect(self._writes.finish)

    def neighbour(self) -> QWidget | None:
        panels = [w for w in docked(self.viewer) if isinstance(w, Staying)]
        return panels[0] if panels else None

    # -- which result

    @property
    def busy(self) -> bool:
        """Whether the table is older than the layers, or a stack is being saved."""
        return self._timer.isActive() or self._asked != self._answered or self._saving

    def refresh(self) -> None:
        """Lists the viewer's results, chooses a new one if there is one, and measures the chosen one."""
        there = samples_in(self.viewer)
        self.samples.offer(there)
        self._marks = {key: ids for key, ids in self._marks.items() if key in there}
        self._choose()

    def _choose(self, *_: object) -> None:
        key = self.samples.key
        if key is not None:
            shown = ShownResult(self.viewer, key[0])
            if shown.sample != key[1]:
                shown.show_sample(key[1])
        self._measure()

    def _listen(self, _: object = None) -> None:
        """Listens to the layers there are now: to new data, to painting and to the selected label."""
        self._layer_events.stop()
        touch = partial(QualityPanel._touch, self)
        pick = partial(QualityPanel._follow_pick, self)
        for layer in self.viewer.layers:
            if isinstance(layer, (Image, Labels)):
                self._layer_events.to(layer.events.data, touch)
            if isinstance(layer, Labels):
                # The undo of a brush stroke sends no other event than this one.
                self._layer_events.to(layer.events.set_data, touch)
                self._layer_events.to(layer.events.paint, touch)
                self._layer_events.to(layer.events.selected_label, pick)
        self._touch()

    @property
    def _shown_name(self) -> str:
        return self._shown_key[0] if self._shown_key is not None else ""

    def _follow_slider(self, _: object = None) -> None:
        if self.samples.key is None or self.samples.key[0] not in results.groups(self.viewer):
            return
        now = self.samples.key[0], ShownResult(self.viewer, self.samples.key[0]).sample
        if now != self.samples.key:
            self.samples.choose(now)

    def _follow_pick(self, event: Any) -> None:
        tag = read_tag(event.source.metadata)
        if tag is not None and (tag.role, tag.result) == ("instances", self._shown_name):
            found = int(event.source.selected_label)
            self.view.select(found)
            self.marks.show_current(self._instances, self.model.table, found)

    # -- the table

    def _touch(self, _: object = None) -> None:
        self._timer.start()

    def _measure(self) -> None:
        """Measures the nuclei off the GUI thread; only the answer to the latest call is shown."""
        self._timer.stop()
        self._asked += 1
        key = self.samples.key
        try:
            record = None if key is None else ShownResult(self.viewer, key[0]).agreed(key[1])
        except ValueError as error:
            self._show(self._asked, key, error)
            return
        if record is None or key is None:
            self._show(self._asked, None, None)
            return
        answer = partial(_answer, self, self._asked, key)
        self._measures.do(partial(nucleus_table, record), answer, answer)

    def _show(self, number: int, key: Key | None, found: NucleusTable | Exception | None) -> None:
        if number != self._asked:
            return
        self._answered = number
        table = found if isinstance(found, NucleusTable) else None
        before = self.model.table
        if table is None or before is None or not table.same_as(before) or key != self._shown_key:
            self._shown_key = key
            names = table.classes.names[1:] if table is not None else ()
            self.class_choice.choices = [EVERY_CLASS, *names]
            self.review.show_table(key, table)
            self.model.show(table, self._marks.get(key, set()) if key is not None else set())
        self.status.value = str(found) if isinstance(found, Exception) else ""
        self._show_buttons()

    def _filter(self, _: object = None) -> None:
        self.view.shown.choose(str(self.class_choice.value), str(self.flag_choice.value))
        self._show_buttons()

    def _remember_marks(self) -> None:
        if self._shown_key is not None:
            self._marks[self._shown_key] = set(self.model.marked)
        self.marks.show_marked(self._instances, self.model.table, self.model.marked)
        self._show_buttons()

    def _show_buttons(self, _: object = None) -> None:
        table, marked = self.model.table, len(self.model.marked)
        self.dropping.show_what_goes(self._shown_key)
        kept = len(self.samples.kept)
        allow(
            self.save,
            "it is being saved" if self._saving else "" if kept else "no result has a tick",
        )
        self.save.text = f"Save {kept} of {self.samples.count()} as stack…"
        if table is not None:
            shown = self.view.shown.rowCount()
            parts = [table.summary()]
            parts += [f"{shown:,} shown"] if shown != len(table) else []
            parts += [f"{marked:,} marked"] if marked else []
            seen = int(self.review.seen.sum())
            parts += [f"{seen:,} of {len(table):,} seen"] if seen else []
            self.status.value = "; ".join(parts)

    def go_to(self, id_: int) -> None:
        """Brings a nucleus into the middle of the canvas and picks it in the instances."""
        table, key = self.model.table, self._shown_key
        row = None if table is None else table.row_of(id_)
        if table is None or row is None or key is None or key[0] not in results.groups(self.viewer):
            return
        layer = ShownResult(self.viewer, key[0]).layers["instances"]
        assert isinstance(layer, Labels)
        if not layer.visible:
            results.show_only(self.viewer, key[0])
        lead = () if layer.ndim == 2 else (key[1],)
        bring_into_view(self.viewer, layer, (*lead, *table.centroids[row]), table.extent[row])
        self.viewer.layers.selection.active = layer
        if not np.isnan(table.area[row]):
            layer.selected_label = id_
        self.marks.show_current(layer, table, id_)
        self.review.mark_seen(row)
        self._show_buttons()

    def _repaint(self, wanted: Wanted) -> None:
        """Passes the repaint to the CoSynth dock, which does the sampling."""
        panel_of(self.viewer).runs.start_repaint(wanted)

    # -- in the viewer

    @property
    def _instances(self) -> Labels | None:
        """The layer of the shown result's instances."""
        layer = results.groups(self.viewer).get(self._shown_name, {}).get("instances")
        return layer if isinstance(layer, Labels) else None

    # -- changed and kept samples

    def _numbered_anew(self, key: Key) -> None:
        """Forgets a sample's marks and makes its table again, because its instance ids changed."""
        if key == self._shown_key:
            self.model.mark(set(self.model.marked), False)
        self._marks.pop(key, None)
        self.samples.choose(key)
        self._measure()

    def ask_and_save(self) -> None:
        """Asks for the folder, then saves."""
        if (path := ask_stack(self)) is not None:
            self.save_to(path)

    def save_to(self, path: Path) -> None:
        """Saves the results with a tick as a training stack, or appends them, off the GUI thread."""
        write = writer_of(self.viewer, self.samples.kept, path)  # raises before anything is marked
        self._saving = True
        self._show_buttons()
        # Not bound methods: if the dock is destroyed meanwhile, it must not be called, but the user must
        # still be told.
        self._writes.do(
            write,
            lambda folder: _saved(self, lambda: show_info(f"saved in {folder}")),
            lambda error: _saved(self, lambda: tell(error)),
        )


def _answer(
    panel: QualityPanel, number: int, key: Key | None, found: NucleusTable | Exception
) -> None:
    if not panel._viewer_events.over:
        panel._show(number, key, found)


def _saved(panel: QualityPanel, say: Callable[[], None]) -> None:
    if not panel._viewer_events.over:
        panel._saving = False
        panel._show_buttons()
    say()
