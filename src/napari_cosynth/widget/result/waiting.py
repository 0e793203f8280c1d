"""Queue of runs that wait for the current one; each keeps the form's settings of its own start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from napari.layers import Points
from psygnal import Signal

from napari_cosynth.types import NO_PREVIEWS, Previews, Request
from napari_cosynth.widget.result.corrections import Wanted
from napari_cosynth.widget.result.result_view import RunView
from napari_cosynth.widget.run.into_image import IntoImage
from napari_cosynth.widget.run.live import same_pixels
from napari_cosynth.widget.run.worker import Events


@dataclass
class Into:
    """The real image that a run paints into, and what was found while it was read."""

    image: IntoImage
    previews: Previews
    sure: bool = False
    """Whether the user agreed to paint into it although it is not H&E."""
    is_brown: bool = False
    """Whether nothing was painted because the image is not H&E."""


@dataclass(frozen=True, eq=False)
class Job:
    """One run, ready to begin."""

    name: str
    """Name in the list of waiting runs."""
    request: Request
    source: Callable[[], Events]
    """Function that starts the run; called in the worker's thread."""
    points: Points | None = None
    """The layout's layer; None for a repaint, which belongs to a result."""
    view: RunView | None = None
    """View that shows its samples; None for a repaint."""
    repaint: Wanted | None = None
    into: Into | None = None
    """The image that it paints into; None for a whole canvas."""
    previews: Previews = NO_PREVIEWS
    """Previews of a whole canvas' run."""

    def same_as(self, other: Job | None) -> bool:
        """Whether both give the same pixels in the same place; False for repaints."""
        if other is None or other.view is None or self.view is None:
            return False
        same_place = (other.view.placement, other.view.name) == (
            self.view.placement,
            self.view.name,
        )
        return same_place and same_pixels(other.request, self.request)


class Waiting:
    """Queue of jobs, first in, first out."""

    changed = Signal()

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def add(self, job: Job) -> None:
        self.jobs.append(job)
        self.changed.emit()

    def take(self) -> Job | None:
        """Removes the next job and returns it; None if there is none."""
        if not self.jobs:
            return None
        job = self.jobs.pop(0)
        self.changed.emit()
        return job

    def drop(self, row: int) -> None:
        """Removes the job in this row."""
        del self.jobs[row]
        self.changed.emit()

    def keep(self, wanted: Callable[[Job], bool]) -> None:
        """Removes all jobs but those that are ``wanted``."""
        before = len(self.jobs)
        self.jobs = [job for job in self.jobs if wanted(job)]
        if len(self.jobs) != before:
            self.changed.emit()
