"""Keeps the runs that are not done yet in the session, and starts those of a program that has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari.components import ViewerModel

from napari_cosynth.widget.docks.jobs import canvas_job
from napari_cosynth.widget.docks.runs import Runs
from napari_cosynth.widget.gallery.gallery import Gallery
from napari_cosynth.widget.gallery.stored_runs import StoredRun
from napari_cosynth.widget.layers.layout import layout_layer, placement_from
from napari_cosynth.widget.result.result_view import RunView
from napari_cosynth.widget.result.waiting import Job


class KeepingRuns:
    """Follows the dock's runs. Runs into an image and repaints need layers of this program: they are not
    kept."""

    def __init__(self, viewer: ViewerModel, runs: Runs, gallery: Gallery) -> None:
        self.viewer, self.runs, self.gallery = viewer, runs, gallery
        self._kept: list[tuple[Job, int]] = []
        runs.changed.connect(self._keep)
        runs.waiting.changed.connect(self._keep)
        gallery.unfinished.runs_found.connect(self._start)

    def _keep(self) -> None:
        """Writes the runs if they are others than those on the disk."""
        jobs = [(job, done) for job, done in self.runs.undone() if _can_be_kept(job)]
        if jobs != self._kept:
            self._kept = jobs
            self.gallery.keep_runs([_stored(job, done) for job, done in jobs])

    def _start(self, found: Sequence[StoredRun]) -> None:
        """Adds the layouts of these runs to the viewer, each once, and submits the runs in order."""
        layers = {}
        for run in found:
            layout = run.request.layout
            if id(layout) not in layers:
                layers[id(layout)] = layout_layer(layout, run.canvas, run.name)
                self.viewer.add_layer(layers[id(layout)])
            view = RunView(layout, run.placement, run.name)
            view.fleeting = run.fleeting
            backend, points = self.runs.runner.backend, layers[id(layout)]
            self.runs.submit(canvas_job(backend, run.request, run.previews, points, view))


def _can_be_kept(job: Job) -> bool:
    return job.view is not None and job.points is not None and job.into is None


def _stored(job: Job, done: int) -> StoredRun:
    assert job.view is not None and job.points is not None
    request = replace(job.request, seeds=job.request.seeds[done:])
    run = job.view
    canvas = placement_from(job.points)
    return StoredRun(run.name, canvas, run.placement, request, job.previews, run.fleeting)
