"""Layouts that are to be sampled one after the other, each as soon as its run can be submitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from napari.components import ViewerModel
from napari.layers import Points


class Plan:
    """Layouts in the order in which their runs are submitted. Each is the chosen one for a moment."""

    def __init__(
        self,
        viewer: ViewerModel,
        choose: Callable[[Points], None],
        ready: Callable[[bool], bool],
        start: Callable[[bool], None],
    ) -> None:
        """``choose`` makes a layout the chosen one, and ``start`` submits a run of it.

        ``ready`` returns whether a run can be submitted. It and ``start`` are told whether the run goes
        into the image under the layout.
        """
        self._viewer = viewer
        self._choose, self._ready, self._start = choose, ready, start
        self._steps: list[tuple[Points, bool]] = []
        self._going_on = False

    @property
    def left(self) -> int:
        """Number of layouts whose runs are not submitted yet."""
        return len(self._steps)

    def add(self, layers: Sequence[Points], into_image: bool) -> None:
        """Adds these layouts and submits the runs that are ready."""
        self._steps += [(layer, into_image) for layer in layers]
        self.go_on()

    def go_on(self) -> None:
        """Submits the runs until one is not ready; call it again once that may have changed.

        Layouts that were removed meanwhile are left out.
        """
        if self._going_on:  # a choice or a start has led back here
            return
        self._going_on = True
        try:
            while self._steps:
                layer, into_image = self._steps[0]
                if layer in self._viewer.layers:
                    self._choose(layer)
                    if not self._ready(into_image):
                        return
                    self._start(into_image)
                self._steps.pop(0)
        finally:
            self._going_on = False
