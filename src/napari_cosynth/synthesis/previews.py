"""The clock that decides which states of a run are shown: by steps and by seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

from napari_cosynth.types import Previews

FIRST = 1 / 3
"""The first picture waits for this share of ``Previews.after``: until then there is nothing to see."""


class PreviewClock:
    """The preview clock of one sample; its seconds count from here, and from each state it shows."""

    def __init__(
        self, previews: Previews, steps: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``steps`` is the number of steps of the whole sample; ``clock`` returns seconds."""
        self._every, self._after = previews.every, previews.after
        self._wait = FIRST * previews.after
        self._steps, self._clock = steps, clock
        self._last = clock()

    def wanted(self, step: int, part: float = 0.0) -> bool:
        """Whether to show the state after ``step`` steps and the share ``part`` of the next one."""
        due = not part and step and self._every
        by_step = bool(due) and (step == self._steps or step % self._every == 0)
        if by_step or (self._after and self._clock() - self._last >= self._wait):
            self._last, self._wait = self._clock(), self._after
            return True
        return False
