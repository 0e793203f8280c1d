"""Bar at the top of the dock that offers the results of an unfinished session: recover or delete."""

from __future__ import annotations

from magicgui.widgets import Label, PushButton
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from napari_cosynth.widget.gallery.unfinished import UnfinishedSessions


class RecoveryBar(QWidget):
    """Bar that stays hidden until an unfinished session is found."""

    def __init__(self, sessions: UnfinishedSessions) -> None:
        super().__init__()
        self.label = Label(value="")
        self.recover = PushButton(text="Recover")
        self.discard = PushButton(text="Delete…")
        self.discard.tooltip = "Delete for good what an earlier session left; it is asked first"
        self.recover.tooltip = (
            "Take these results into the gallery, and sample the runs that were not done"
        )
        self.label.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        box = QHBoxLayout(self)
        box.setContentsMargins(2, 0, 2, 0)
        box.setSpacing(4)
        box.addWidget(self.label.native, 1)
        box.addWidget(self.recover.native)
        box.addWidget(self.discard.native)
        self.hide()
        sessions.found.connect(self._offer)
        self._sessions, self._sure = sessions, False
        self._count, self._what = (0, 0), ""
        self.recover.changed.connect(self._recover)
        self.discard.changed.connect(self._delete)

    def _recover(self) -> None:
        """Recovers the results; while the bar asks whether to delete them, the same button says no."""
        if self._sure:
            self._offer(*self._count)
            return
        self.hide()
        self._sessions.recover()

    def _delete(self) -> None:
        """Asks at the first press; deletes at the second, when the button says "Yes, delete"."""
        if not self._sure:
            self._sure = True
            self.label.value = f"Delete {self._what} for good?"
            self.recover.text, self.discard.text = "No", "Yes, delete"
            return
        self.hide()
        self._sessions.forget()

    def _offer(self, samples: int, runs: int) -> None:
        self._count, self._sure = (samples, runs), False
        results = "1 result" if samples == 1 else f"{samples} results"
        waiting = "1 run" if runs == 1 else f"{runs} runs"
        self._what = " and ".join([results] * bool(samples) + [waiting] * bool(runs))
        self.recover.text, self.discard.text = "Recover", "Delete…"
        self.label.value = self.label.tooltip = f"{self._what} of an unfinished session"
        self.show()
