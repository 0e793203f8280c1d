"""The dock's buttons for a result: Re-separate, Update from instances, Restore raw, Save."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from magicgui.widgets import ComboBox, Label, PushButton
from napari.components import ViewerModel
from napari.layers import Layer
from napari.utils.notifications import show_info
from psygnal import Signal
from qtpy.QtWidgets import QWidget

from napari_cosynth.datasets.recipes import read_count
from napari_cosynth.records.refine import separated_again, updated_from_instances
from napari_cosynth.types import Record, Report
from napari_cosynth.widget.layers.results import groups
from napari_cosynth.widget.layers.tags import read_tag
from napari_cosynth.widget.qt.errors import told
from napari_cosynth.widget.qt.forms import allow, column_in, form, side_by_side
from napari_cosynth.widget.qt.offer import Offer
from napari_cosynth.widget.qt.questions import ask_stack
from napari_cosynth.widget.qt.status import Status
from napari_cosynth.widget.result.corrections import Wanted, corrected, show_as_made
from napari_cosynth.widget.result.saving import (
    Group,
    described_sample,
    drawn_record,
    record_of,
    save_layers,
)
from napari_cosynth.widget.result.shown import ShownResult, is_points

MAJORITY = "not set"
"""Choice of no class for new nuclei; Update then raises an error that names the nucleus."""


class RefinePanel(QWidget):
    """Buttons that make an edited result's layers agree again, restore it, and save it.

    ``result`` is the dock's own box of results, if it has one. The panel fills it, too, with opened and
    with sampled results.
    """

    wanted = Signal(object)
    """A :class:`Wanted`; a dock that can sample listens to it."""

    def __init__(self, viewer: ViewerModel, result: ComboBox | None = None) -> None:
        super().__init__()
        self.viewer = viewer
        self._shared = result is not None
        self._known: list[str] = []
        self.result = result or ComboBox(choices=[], nullable=True, label="Result")
        self.points = ComboBox(choices=self._layouts, nullable=True, label="Points")
        self.new_class = ComboBox(choices=self._classes, label="New nuclei")
        self.separate = PushButton(text="Re-separate")
        self.update_rest = PushButton(text="Update from instances")
        self.restore = PushButton(text="Restore raw")
        self.save = PushButton(text="Save as stack…")
        self.repaint_here = PushButton(text="Repaint here")
        self.offer = Offer()
        self.status = Status()
        self._told = ""  # name of the result in the status
        self.points.tooltip = (
            "The layout whose points seed the watershed, and that is saved; none: the points that "
            "the result was made from"
        )
        self.new_class.tooltip = "The class of nuclei that were painted where there was no label"
        self.separate.tooltip = "Watershed of the labels again, from these points"
        self.update_rest.tooltip = "Labels, distance and centroids from the edited instances"
        self.restore.tooltip = "The sample as it was made or read"
        self.repaint_here.tooltip = (
            "Paint the image anew where labels or instances were corrected: they are held, the pixels "
            "follow them"
        )
        self.save.tooltip = (
            "Save as a training stack: a new folder, or more samples into an existing one"
        )
        box = column_in(self)
        self._word = Label(value="new nuclei")
        choices = [("Points", [self.points, self._word, self.new_class])]
        if not self._shared:
            choices.insert(0, ("Result", [self.result]))
        box.addWidget(form(*choices))
        box.addWidget(side_by_side(self.separate, self.update_rest))
        box.addWidget(side_by_side(self.restore, self.repaint_here, self.save))
        box.addWidget(self.offer)
        box.addWidget(self.status.native)
        self.result.changed.connect(self._show_choices)
        for button, action in (
            (self.separate, self.separate_again),
            (self.update_rest, self.update_from_instances),
            (self.restore, self.restore_raw),
            (self.repaint_here, self.ask_to_repaint),
            (self.save, self.ask_and_save),
        ):
            button.changed.connect(told(action))
        # Not a bound method: napari could not disconnect a method of a QWidget that Qt has destroyed.
        self._hear = partial(RefinePanel.refresh, self)
        events = viewer.layers.events
        self._heard = (events.inserted, events.removed, events.renamed)
        for event in self._heard:
            event.connect(self._hear)
        self.refresh()

    def let_go(self) -> None:
        """Disconnects from the viewer, because the dock is being destroyed."""
        for event in self._heard:
            event.disconnect(self._hear)

    # -- choices

    def _results(self, _: object = None) -> list[str]:
        return list(groups(self.viewer))

    def _layouts(self, _: object = None) -> list[tuple[str, Layer]]:
        return [(layer.name, layer) for layer in self.viewer.layers if is_points(layer)]

    def _classes(self, _: object = None) -> list[str]:
        labels = groups(self.viewer).get(str(self.result.value), {}).get("labels")
        tag = read_tag(labels.metadata) if labels is not None else None
        return [MAJORITY, *(tag.classes.names[1:] if tag else ())]

    def refresh(self, _: object = None) -> None:
        """Lists the viewer's results and layouts; chooses a new result if there is one."""
        names = self._results()
        before = self.result.value
        with self.result.changed.blocked():
            self.result.choices = names
            if new := [name for name in names if name not in self._known]:
                self.result.value = new[-1]
            elif before in names:
                self.result.value = before
        self._known = names
        self._show_choices()

    def _show_choices(self, _: object = None) -> None:
        chosen = self._points()
        self.points.reset_choices()
        self.new_class.reset_choices()
        results = groups(self.viewer)
        if (own := self._shown.own_layout) is not None:
            self.points.value = own
        elif chosen is not None:
            # Keep the chosen points unless they belong to another result.
            tag = read_tag(chosen.metadata)
            self.points.value = None if tag is None or tag.result in results else chosen
        found = results.get(str(self.result.value), {})
        complete = {"image", "labels", "instances"} <= found.keys()
        for button in (self.separate, self.update_rest, self.restore, self.repaint_here, self.save):
            allow(button, "" if complete else "there is no finished result")
        if self._told and (self._told != self.result.value or not complete):
            self._tell("")  # the status is about another result, or one that is gone

    def _tell(self, text: str) -> None:
        self._told = str(self.result.value or "") if text else ""
        self.status.value = text

    # -- the buttons

    def separate_again(self) -> None:
        """Re-separate: runs the watershed again from labels, distance and the chosen points."""
        group, sample = self._group()
        record, report = separated_again(record_of(group, sample))
        self._shown.show(record, sample)
        self._tell(_summary(record, report))

    def update_from_instances(self) -> None:
        """Update: makes labels, distance and the result's own layout from the instances."""
        group, sample = self._group(with_layout=False)
        name = str(self.new_class.value)
        new = None if name == MAJORITY else group.tag.classes.index(name)
        record = updated_from_instances(drawn_record(group, sample), new)
        self._shown.show(record, sample)
        self._shown.show_layout(record, sample)
        self._show_choices()
        self._tell(f"{len(record.layout)} nuclei; labels, distance and points agree")

    def restore_raw(self) -> None:
        """Restores the sample as it was made or read. Raises ValueError if it is not known."""
        group, sample = self._group(with_layout=False)
        raw = group.raw(sample)
        if raw is None:
            raise ValueError(
                f"{group.name}: its raw sample is not in the layers' metadata any more"
            )
        self._shown.show(raw, sample)
        show_as_made(self._shown, sample, raw)
        if self._shown.own_layout is not None:
            self._shown.show_layout(raw, sample)
        self._tell("the sample as it was made")

    def ask_to_repaint(self) -> None:
        """Repaint here: emits ``wanted`` for the pixels where labels were corrected.

        Raises ValueError if there are none.
        """
        group, sample = self._group()
        changed = corrected(self._shown)
        if not changed.any():
            raise ValueError(f"{group.name}: no label was corrected: the image shows them all")
        described_sample(group, sample)  # raises ValueError if the result's layers disagree
        self.wanted.emit(Wanted(self._shown, sample, record_of(group, sample), changed))

    def ask_and_save(self) -> None:
        """Asks for the folder, then saves; offers a repaint first if labels were corrected."""
        self._group()
        if self.wanted and corrected(self._shown).any():
            self.offer.make(
                "The image does not show the corrected nuclei.",
                {
                    "Repaint here": told(self.ask_to_repaint),
                    "Save as it is": told(self._ask_path_and_save),
                },
            )
            return
        self._ask_path_and_save()

    def _ask_path_and_save(self) -> None:
        if (path := ask_stack(self)) is not None:
            self.save_to(path)

    def save_to(self, path: Path) -> None:
        """Saves the chosen result with its points as a training stack, or appends it to one."""
        self._group()  # raises ValueError if the result is incomplete
        written = save_layers(path, self._shown.tuples(self._points()))
        count = read_count(written)
        told = "1 sample" if count == 1 else f"now {count} samples"
        show_info(f"saved in {written}: {told}")
        self._tell(f"saved in {written.name}: {told}")

    # -- layers <-> records

    @property
    def _shown(self) -> ShownResult:
        return ShownResult(self.viewer, str(self.result.value))

    def _points(self) -> Layer | None:
        chosen: Layer | None = self.points.value
        return chosen if chosen in self.viewer.layers else None

    def _group(self, with_layout: bool = True) -> tuple[Group, int]:
        """The chosen result and the sample that the viewer's slider shows."""
        group = self._shown.group(self._points() if with_layout else None)
        return group, self._shown.sample


def _summary(record: Record, report: Report) -> str:
    counts = {name: len(ids) for name, ids in report.to_json().items() if ids}
    found = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"{len(record.layout)} points; {found or 'every point has its nucleus'}"
