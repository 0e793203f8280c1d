"""Connections to napari's events that are all ended together."""

from __future__ import annotations

from collections.abc import Callable

from napari.utils.events import EventEmitter


class Hearing:
    """A set of connections. ``over`` is true once they have ended for good.

    Answers that arrive later must check ``over`` first.
    """

    def __init__(self) -> None:
        self._connected: list[tuple[EventEmitter, Callable[..., None]]] = []
        self.over = False

    def to(self, emitter: EventEmitter, callback: Callable[..., None]) -> None:
        """Connects a callback. It must not be a bound method of a QWidget, because napari could not
        disconnect it once Qt has destroyed the widget."""
        emitter.connect(callback)
        self._connected.append((emitter, callback))

    def stop(self) -> None:
        """Disconnects all."""
        for emitter, callback in self._connected:
            emitter.disconnect(callback)
        self._connected.clear()

    def end(self, _: object = None) -> None:
        """Disconnects all for good."""
        self.over = True
        self.stop()
