"""Choice of the result to show and work on; buttons to close results and reopen them."""

from __future__ import annotations

from magicgui.widgets import ComboBox, PushButton
from napari.components import ViewerModel
from napari.layers import Layer
from qtpy.QtWidgets import QWidget

from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.tags import read_tag
from napari_cosynth.widget.qt.forms import allow, column_in, side_by_side
from napari_cosynth.widget.result.result_view import insert_below_points


class ResultPicker(QWidget):
    """List of the viewer's results by name, sampled or opened."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self.viewer = viewer
        self.result = ComboBox(choices=[], nullable=True, label="Result")
        self.discard = PushButton(text="Close")
        self.keep_only = PushButton(text="Close others")
        self.undo = PushButton(text="Reopen")
        self.go_on = PushButton(text="Continue")
        self._closed: list[Layer] = []
        self.result.tooltip = "The result that is shown, edited and saved"
        self.discard.tooltip = "Take this result's layers out of the viewer; the gallery keeps it"
        self.keep_only.tooltip = "Take the layers of all other results out of the viewer"
        self.go_on.tooltip = (
            "Its layout and settings become the form's: the next run goes on from this result"
        )
        self.undo.tooltip = "Put back the layers that were closed last, as they were"
        box = column_in(self)
        # A line of its own, so that the end of the name is visible: results of one layout differ there.
        box.addWidget(side_by_side(self.result))
        box.addWidget(side_by_side(self.go_on, self.discard, self.keep_only, self.undo))
        self.result.changed.connect(self._show)
        self.discard.changed.connect(self._discard)
        self.keep_only.changed.connect(self._keep_only)
        self.undo.changed.connect(self._reopen)
        self.refresh()

    @property
    def name(self) -> str:
        """Name of the chosen result; empty if there is none."""
        return str(self.result.value or "")

    def refresh(self) -> None:
        """Lists the viewer's results; the chosen one stays chosen."""
        names = list(results.groups(self.viewer))
        with self.result.changed.blocked():
            before = self.result.value
            self.result.choices = names
            self.result.value = before if before in names else (names[-1] if names else None)
        for button in (self.go_on, self.discard):
            allow(button, "" if names else "there is no result")
        allow(self.keep_only, "" if len(names) > 1 else "there is no other result")
        allow(self.undo, "" if self._closed else "nothing was closed")

    def choose(self, name: str) -> None:
        """Chooses a result whose layers are already visible."""
        self.refresh()
        with self.result.changed.blocked():
            self.result.value = name

    def _show(self, name: str | None) -> None:
        if name:
            results.show_only(self.viewer, name)

    def _discard(self) -> None:
        if self.name:
            self._close([self.name])
            self._show(self.name)

    def _keep_only(self) -> None:
        self._close([name for name in results.groups(self.viewer) if name != self.name])

    def _close(self, names: list[str]) -> None:
        before = [
            (layer, results.copied(layer)) for layer in self.viewer.layers if ours(layer, names)
        ]
        for name in names:
            results.discard(self.viewer, name)
        self._closed = [copy for layer, copy in before if layer not in self.viewer.layers]
        self.refresh()

    def _reopen(self) -> None:
        back, self._closed = self._closed, []
        for layer in back:
            insert_below_points(self.viewer, layer)
        self.refresh()


def ours(layer: Layer, names: list[str]) -> bool:
    """Whether a layer belongs to one of these results."""
    tag = read_tag(layer.metadata)
    return tag is not None and tag.result in names
