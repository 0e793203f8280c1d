"""One line at the top of the dock: results of an unfinished session, to recover or discard."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from magicgui.widgets import Label, PushButton
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from napari_cosynth.widget.gallery.gallery import Gallery


class RecoveryBar(QWidget):
    """Hidden until the gallery finds something."""

    def __init__(self, gallery: Gallery) -> None:
        super().__init__()
        self.label = Label(value="")
        self.recover = PushButton(text="Recover")
        self.discard = PushButton(text="Discard")
        self.discard.tooltip = "Delete what an earlier session left"
        self.recover.tooltip = "Take these results into the gallery"
        self.label.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        box = QHBoxLayout(self)
        box.setContentsMargins(2, 0, 2, 0)
        box.setSpacing(4)
        box.addWidget(self.label.native, 1)
        box.addWidget(self.recover.native)
        box.addWidget(self.discard.native)
        self.hide()
        gallery.found.connect(self._offer)
        for button, action in ((self.recover, gallery.recover), (self.discard, gallery.forget)):
            button.changed.connect(partial(self._act, action))

    def _act(self, action: Callable[[], None]) -> None:
        self.hide()
        action()

    def _offer(self, count: int) -> None:
        what = "1 result" if count == 1 else f"{count} results"
        self.label.value = self.label.tooltip = f"{what} of an unfinished session"
        self.show()
