"""Connections to napari's events that can all be let go."""

from __future__ import annotations

from collections.abc import Callable

from napari.utils.events import EventEmitter


class Hearing:
    """What is connected. Once it is over, an answer that is still under way finds nobody."""

    def __init__(self) -> None:
        self._connected: list[tuple[EventEmitter, Callable[..., None]]] = []
        self.over = False

    def to(self, emitter: EventEmitter, callback: Callable[..., None]) -> None:
        """Connects. Not for bound methods of a QWidget: napari cannot let go of one Qt destroyed."""
        emitter.connect(callback)
        self._connected.append((emitter, callback))

    def stop(self) -> None:
        """Lets go of everything."""
        for emitter, callback in self._connected:
            emitter.disconnect(callback)
        self._connected.clear()

    def end(self, _: object = None) -> None:
        """Lets go for good."""
        self.over = True
        self.stop()
