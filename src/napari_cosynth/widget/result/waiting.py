"""Runs that wait for the one that goes on: each as the form said when it was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from napari.layers import Points
from psygnal import Signal

from napari_cosynth.types import Previews, Request
from napari_cosynth.widget.result.corrections import Wanted
from napari_cosynth.widget.result.result_view import RunView
from napari_cosynth.widget.run.into_image import IntoImage
from napari_cosynth.widget.run.live import same_pixels
from napari_cosynth.widget.run.worker import Events


@dataclass
class Into:
    """A run's real image; what is found of it while it is read."""

    image: IntoImage
    previews: Previews
    sure: bool = False
    """Whether it is painted into though it is no H&E."""
    is_brown: bool = False
    """Whether it was not, for it is none."""


@dataclass(frozen=True, eq=False)
class Job:
    """One run, ready to begin."""

    name: str
    """In words, as it stands in the list."""
    request: Request
    source: Callable[[], Events]
    """Called in the worker's thread."""
    points: Points | None = None
    """The layer that it is of; None for a repaint, which is of a result."""
    view: RunView | None = None
    """What shows its samples."""
    repaint: Wanted | None = None
    into: Into | None = None
    """The image that it goes into."""

    def same_as(self, other: Job | None) -> bool:
        """Whether both give the same pixels in the same place."""
        if other is None or other.view is None or self.view is None:
            return False
        same_place = (other.view.placement, other.view.name) == (
            self.view.placement,
            self.view.name,
        )
        return same_place and same_pixels(other.request, self.request)


class Waiting:
    """First in, first out; of a layout that is removed none is left."""

    changed = Signal()

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def add(self, job: Job) -> None:
        self.jobs.append(job)
        self.changed.emit()

    def take(self) -> Job | None:
        """The next one, which waits no longer; None where none does."""
        if not self.jobs:
            return None
        job = self.jobs.pop(0)
        self.changed.emit()
        return job

    def drop(self, row: int) -> None:
        """Takes one back."""
        del self.jobs[row]
        self.changed.emit()

    def keep(self, wanted: Callable[[Job], bool]) -> None:
        """Takes back all but these."""
        before = len(self.jobs)
        self.jobs = [job for job in self.jobs if wanted(job)]
        if len(self.jobs) != before:
            self.changed.emit()
