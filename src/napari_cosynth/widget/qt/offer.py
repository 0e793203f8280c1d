"""A line with buttons that asks without blocking the window; the next offer replaces an open one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_cosynth.widget.qt.status import Status


class Offer(QWidget):
    """Question with buttons; hidden until something is offered, and any of its buttons closes it."""

    def __init__(self) -> None:
        super().__init__()
        self.text = Status()
        self.buttons: dict[str, QPushButton] = {}
        self._row = QHBoxLayout()
        self._row.setSpacing(4)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(2)
        box.addWidget(self.text.native)
        box.addLayout(self._row)
        self.hide()

    def make(self, text: str, actions: Mapping[str, Callable[[], object]]) -> None:
        """Offers these actions, by the texts of their buttons, and *Not now*."""
        self.close_it()
        self.text.value = text
        for name, action in {**actions, "Not now": lambda: None}.items():
            button = QPushButton(name)
            button.clicked.connect(self._answer(action))
            self.buttons[name] = button
            self._row.addWidget(button)
        self.show()

    def close_it(self) -> None:
        """Withdraws the offer."""
        for button in self.buttons.values():
            self._row.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.buttons.clear()
        self.text.value = ""
        self.hide()

    def _answer(self, action: Callable[[], object]) -> Callable[..., None]:
        def answer(_: object = None) -> None:
            self.close_it()
            action()

        return answer
