"""The runs that the dock's buttons start: from the form's request to layers, gallery and status."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from napari.components import ViewerModel
from napari.utils.notifications import show_info, show_warning
from psygnal import Signal

from napari_cosynth.types import Progress, Synthesis
from napari_cosynth.widget.docks.jobs import (
    into_image_job,
    made_already,
    painted_all_the_same,
    repaint_job,
    synthesis_job,
)
from napari_cosynth.widget.docks.live_sampling import LiveSampling
from napari_cosynth.widget.docks.request_form import RequestForm
from napari_cosynth.widget.docks.run_bar import READING_LOOK, RunBar
from napari_cosynth.widget.gallery.gallery import Gallery
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.result.corrections import Wanted, put_painted
from napari_cosynth.widget.result.result_view import summary
from napari_cosynth.widget.result.waiting import Job, Waiting
from napari_cosynth.widget.run.plan import Plan
from napari_cosynth.widget.run.speed import Speeds
from napari_cosynth.widget.run.worker import Runner

LIVE = "live: the next edit is sampled"


class Runs:
    """Runs on the dock's runner, one at a time: others wait their turn, and those of Live give way."""

    displayed = Signal(str)
    """Name of a result whose layers were made and are now the visible ones."""
    sampled = Signal(Synthesis)
    """A sample was made and is shown."""
    changed = Signal()
    """A run began or ended, or the expected time of the next one changed."""

    def __init__(
        self,
        viewer: ViewerModel,
        runner: Runner,
        form: RequestForm,
        bar: RunBar,
        gallery: Gallery,
    ) -> None:
        self.viewer, self.runner, self.form, self.bar = viewer, runner, form, bar
        self.gallery = gallery
        self.speeds = Speeds()
        self.waiting = Waiting()
        self.live_sampling = LiveSampling(viewer, runner, form, bar, self._tell)
        self.live = self.live_sampling.live
        self._job: Job | None = None
        self._done = 0  # samples of the current job that are here
        self._start_next: Callable[[], None] | None = None
        self.plan = Plan(viewer, form.layout.use_layer, self._ready, self._start_planned)
        self._brown: list[Job] = []
        self._told: str | None = None  # name of the result in the status; "" for one of Live
        bar.queue.follow(self.waiting)
        runner.progressed.connect(self._on_progress)
        runner.sampled.connect(self._on_sample)
        runner.ended.connect(self._on_end)
        form.look.edited.connect(self._start_waiting)

    @property
    def busy(self) -> bool:
        """Whether a run is going on that a button began."""
        return self.runner.busy and not self.live.busy

    @property
    def shows_time(self) -> bool:
        """Whether the bar shows the time that is left of a run."""
        return self._job is not None and self._job.view is not None

    def start(self) -> None:
        """Synthesises; while a run goes on, this one waits for its turn."""
        self._start(self.form.sampling.draw_seeds)

    def vary(self, seeds: tuple[int, ...]) -> None:
        """Synthesises these seeds for the gallery; each sample replaces the layers of the one before."""
        self._start(lambda: seeds, fleeting=True)

    def _start(
        self,
        draw_seeds: Callable[[], tuple[int, ...]],
        fleeting: bool = False,
        again: bool = False,
    ) -> None:
        """Submits a run of the form; ``again``: even if the viewer has a result with the same pixels."""
        if self._waits(partial(self._start, draw_seeds, fleeting, again)):
            return
        try:
            request = self.form.request(draw_seeds())
        except ValueError as error:
            show_warning(str(error))
            return
        if not again and (name := made_already(self.viewer, request)):
            self.bar.offer.make(
                f"{name} has these very settings: it would be the same pixels again. Vary the seed?",
                {
                    "Another seed": self._start_with_another_seed,
                    "Sample again": partial(self._start, lambda: request.seeds, fleeting, True),
                },
            )
            return
        self.submit(synthesis_job(self.form, self.runner.backend, request, fleeting))

    def _start_planned(self, into_image: bool) -> None:
        if into_image:
            self.start_into_image()
        else:
            self._start(self.form.sampling.draw_seeds, again=True)

    def _start_with_another_seed(self) -> None:
        self.form.sampling.random.value = True
        self.start()

    def start_into_image(self) -> None:
        """Samples the layout into the image under it; while a run goes on, this one waits."""
        if self._waits(self.start_into_image, into_image=True):
            return
        try:
            job = into_image_job(self.viewer, self.form, self.runner.backend)
        except ValueError as error:
            show_warning(str(error))
            return
        if job is not None:
            self.submit(job)

    def _ask_about_stain(self) -> None:
        jobs, self._brown = self._brown, []
        self.bar.status.value = "nothing was painted"

        def paint() -> None:
            for job in jobs:
                self.submit(painted_all_the_same(job, self.runner.backend))

        self.bar.offer.make(
            "The image is brown, as immunohistochemistry with DAB is. This model knows H&E only and "
            "would paint pink and violet into it.",
            {"Paint all the same": paint},
        )

    def start_repaint(self, wanted: Wanted) -> None:
        """Paints a result's image anew where the user wants it; while a run goes on, this one waits."""
        try:
            self.submit(repaint_job(self.form, self.runner.backend, wanted))
        except ValueError as error:
            show_warning(str(error))

    def undone(self) -> list[tuple[Job, int]]:
        """The current run and those that wait, in their order, each with how many samples it has made."""
        current = [] if self._job is None else [(self._job, self._done)]
        return [*current, *((job, 0) for job in self.waiting.jobs)]

    def submit(self, job: Job) -> None:
        """Begins a run, or queues it; refuses one that is the same as the current or a waiting one."""
        if any(job.same_as(other) for other in (self._job, *self.waiting.jobs)):
            show_info(f"{job.name} is under way already: vary the seed for another one")
        elif self.runner.busy:
            self.waiting.add(job)
            self.changed.emit()
        else:
            self._begin(job)

    def _begin(self, job: Job) -> None:
        self._job, self._done = job, 0
        self.bar.begin(job.request)
        self.runner.start(job.source)
        if job.view is not None:  # its layers come in while the first pass is computed
            job.view.view_of(self.viewer, job.request.seeds[0], self.gallery.names)
        self.changed.emit()

    def _on_repainted(self, wanted: Wanted, made: Synthesis) -> None:
        name = wanted.shown.name
        if not wanted.is_current:
            show_warning(f"{name}: it changed meanwhile: repaint again")
            return
        put_painted(wanted, made)
        self._told = name
        self.bar.status.value = f"repainted in {made.seconds:.1f} s"

    def _waits(self, start: Callable[[], None], into_image: bool = False) -> bool:
        """Whether a run must wait until Live ends or the look is read; ``start`` is called then."""
        if self.live.busy:
            self._start_next = start
            self.live.stop()
            return True
        if self._ready(into_image):
            return False
        self._start_next = start
        return True

    def _ready(self, into_image: bool) -> bool:
        """Whether a run can begin: Live has ended and the look is read. The status says if not."""
        if not self.live.busy and self.form.look.ready(into_image):
            return True
        self.bar.status.value = READING_LOOK
        return False

    def _start_waiting(self) -> None:
        if self._start_next is not None and not self.live.busy and self.form.look.ready():
            start, self._start_next = self._start_next, None
            start()
        self.plan.go_on()

    def stop(self) -> None:
        """Cancels the run: no further step, and no further layer."""
        self.runner.cancel()
        self._stop_adding()

    def close(self) -> None:
        """Adds no more layers, because the dock is being destroyed and perhaps the viewer with it."""
        self._stop_adding()
        self.live_sampling.close()

    def _stop_adding(self) -> None:
        view = None if self._job is None else self._job.view
        if view is not None and view.view is not None:
            view.view.stop()

    def switch_layout(self) -> None:
        """Drops what was about to start, because another layout is chosen, or none."""
        self.live_sampling.leave()  # its sample shows the earlier layout; the next edit starts Live anew
        self._start_next = None
        self.forget_removed()
        self.changed.emit()

    def forget_removed(self) -> None:
        """Drops the waiting runs of layouts that were removed, and cancels such a run."""
        there = self.viewer.layers
        self.waiting.keep(lambda job: job.points is None or job.points in there)
        points = None if self._job is None else self._job.points
        if points is not None and points not in there and not self.runner.cancelled:
            self.stop()
            show_warning("The layout was removed: its synthesis is cancelled.")

    def _on_progress(self, progress: Progress) -> None:
        job = self._job
        if job is None:
            return
        self.bar.advance(progress)
        if job.view is not None:
            view = job.view.view_of(self.viewer, progress.seed, self.gallery.names)
            view.show_progress(progress)

    def _on_sample(self, sample: Synthesis) -> None:
        job = self._job
        if job is not None and job.repaint is not None:
            self._on_repainted(job.repaint, sample)
        if job is None or job.view is None:
            return
        run = job.view
        view = run.view_of(self.viewer, sample.seed, self.gallery.names)
        view.show_sample(sample)
        self.gallery.record(sample, run.name, run.placement, view.group, run.fleeting)
        run.view = None
        self._done = min(self._done + 1, len(job.request.seeds) - 1)
        self.displayed.emit(view.group)
        if job.points is not None:
            run.note_on(job.points, sample.report)
        self._tell(sample, group=view.group)

    def forget_gone(self) -> None:
        """Clears the status if the layers of the result that it describes are gone."""
        there = results.groups(self.viewer)
        gone = self._told not in there if self._told else not there
        if self._told is not None and gone and not self.runner.busy:
            self._told = None
            self.bar.status.value = ""

    def _tell(self, sample: Synthesis, kind: str = "", group: str = "") -> None:
        self.speeds.learn(sample)
        self._told = group
        self.bar.status.value = f"{kind}{sample.seconds:.1f} s a sample; {summary(sample.report)}"
        self.changed.emit()
        self.sampled.emit(sample)

    def _on_end(self, outcome: str) -> None:
        job, self._job = self._job, None
        if job is not None and job.into is not None and job.into.is_brown:
            self._brown.append(job)
        if job is not None and job.view is not None and job.view.view is not None:
            job.view.view.remove()
        if not self.live.busy:  # its next run has begun already
            waits = outcome == "cancelled" and job is None and self.live.on
            self.bar.end(LIVE if waits else outcome)
        if not self.runner.busy and (following := self.waiting.take()) is not None:
            self._begin(following)
        elif self._brown and not self.runner.busy:
            self._ask_about_stain()
        self.changed.emit()
        self._start_waiting()
