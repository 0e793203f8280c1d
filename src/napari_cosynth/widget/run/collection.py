"""Garbage collection while samples come in: only of what is new, because a full one stops the window.

Python's full collection looks at every object of napari and Qt, which takes 0.1 to 0.25 s, and the layers
and pictures of a run make it due. While a run goes on, all older objects are set aside for the collector.
"""

from __future__ import annotations

import gc


class NewOnly:
    """Sets the older objects aside from :meth:`begin` to :meth:`end`.

    Each run, and Live, has one of its own; the last that ends gives the objects back.
    """

    _holders = 0

    def __init__(self) -> None:
        self._holds = False

    def begin(self) -> None:
        """From now on only new objects are collected."""
        if not self._holds:
            self._holds = True
            NewOnly._holders += 1
            if NewOnly._holders == 1:
                gc.freeze()

    def end(self) -> None:
        """Gives the older objects back to the collector, unless another run goes on."""
        if self._holds:
            self._holds = False
            NewOnly._holders -= 1
            if not NewOnly._holders:
                gc.unfreeze()
