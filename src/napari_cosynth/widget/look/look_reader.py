"""Reader of a look's reference: reads and measures it off the GUI thread, and remembers the last ones."""

from __future__ import annotations

from collections import deque
from functools import partial

import numpy as np
import numpy.typing as npt
from psygnal import Signal
from qtpy.QtGui import QImage

from napari_cosynth.stain.brown import BROWN, brown_share
from napari_cosynth.widget.look.look_reference import Ask, Measured, Reference
from napari_cosynth.widget.qt.errors import tell
from napari_cosynth.widget.qt.thumbnails import small_picture
from napari_cosynth.widget.run.background import Background

REMEMBERED = 16


class LookReader:
    """Reads one reference at a time; answers for an earlier one are only remembered."""

    seen = Signal()
    """The picture was read."""
    known = Signal()
    """The numbers were measured, or reading or measuring failed."""

    def __init__(self, ask: Ask, side: int) -> None:
        """``side``: longer side of the picture in pixels."""
        self.reference: Reference | None = None
        self.found: Measured | None = None
        self.image: QImage | None = None
        self.brown = False
        """Whether the picture is brown, so not H&E; known once it was read."""
        self.failure = ""
        """Why the reference cannot be followed; empty if it can."""
        self._ask, self._side = ask, side
        self._remembered: deque[tuple[Reference, Measured, QImage]] = deque(maxlen=REMEMBERED)
        # Two threads: measuring may have to wait for the sampling process to start, reading need not.
        self._reading, self._measuring = Background("look"), Background("look-numbers")

    @property
    def ready(self) -> bool:
        """Whether nothing is being read or measured."""
        return self.reference is None or self.found is not None or bool(self.failure)

    def close(self) -> None:
        """Ends the background work; later answers are dropped."""
        self._reading.close()
        self._measuring.close()

    def follow(self, reference: Reference | None) -> bool:
        """Reads this reference if it differs from the current one; returns whether it does."""
        if reference == self.reference:
            return False
        self.reference, self.found, self.image, self.failure = reference, None, None, ""
        for before, found, image in self._remembered:
            if before == reference:
                self.found, self.image = found, image
                return True
        if reference is not None:
            self._read(reference)
        return True

    def _read(self, reference: Reference) -> None:
        def read() -> tuple[npt.NDArray[np.uint8], QImage, bool]:
            pixels = reference.read()
            return pixels, small_picture(pixels, self._side), brown_share(pixels) > BROWN

        def measure(found: tuple[npt.NDArray[np.uint8], QImage, bool]) -> None:
            pixels, image, brown = found
            if reference is not self.reference:
                return
            self.image, self.brown = image, brown
            self.seen.emit()
            self._measuring.do(
                lambda: reference.measure(pixels, self._ask),
                partial(self._take, reference, image),
                partial(self._fail, reference),
            )

        self._reading.do(read, measure, partial(self._fail, reference))

    def _take(self, reference: Reference, image: QImage, found: Measured) -> None:
        self._remembered.append((reference, found, image))
        if reference is self.reference:
            self.found = found
            self.known.emit()

    def _fail(self, reference: Reference, error: Exception) -> None:
        if reference is self.reference:
            self.failure = str(error)
            tell(error)
            self.known.emit()
