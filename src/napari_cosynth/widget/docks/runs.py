"""The runs of the dock's buttons: from the form's request to layers, gallery and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from napari.components import ViewerModel
from napari.utils.notifications import show_info, show_warning
from psygnal import Signal

from napari_cosynth.geometry.edits import same_layout
from napari_cosynth.stain.brown import BROWN, brown_share
from napari_cosynth.types import Layout, Previews, Progress, Request, Synthesis
from napari_cosynth.widget.docks.live_sampling import LiveSampling
from napari_cosynth.widget.docks.request_form import RequestForm
from napari_cosynth.widget.docks.run_bar import READING_LOOK, RunBar
from napari_cosynth.widget.gallery.gallery import Gallery
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.layout import SAMPLE_KEY, set_notes
from napari_cosynth.widget.qt.questions import ask_mpp
from napari_cosynth.widget.result.corrections import Wanted, put_painted, repaint_request
from napari_cosynth.widget.result.result_view import RunView, summary
from napari_cosynth.widget.run.into_image import IntoImage, into_image
from napari_cosynth.widget.run.live import same_pixels
from napari_cosynth.widget.run.speed import Speeds
from napari_cosynth.widget.run.worker import Runner

LIVE = "live: the next edit is sampled"


class Runs:
    """One run at a time, on the dock's runner; Live's own make way for it."""

    displayed = Signal(str)
    """The layers of this result were made and are what is seen now."""
    sampled = Signal(Synthesis)
    """A sample was made and is shown."""
    changed = Signal()
    """A run began or ended, or how long the next one takes is known better."""

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
        self.live_sampling = LiveSampling(viewer, runner, form, bar, self._tell)
        self.live = self.live_sampling.live
        self._run: RunView | None = None
        self._start_next: Callable[[], None] | None = None
        self._repainting: Wanted | None = None
        self._brown = False
        self._told: str | None = None  # the result that the status is about; "": Live's
        runner.progressed.connect(self._on_progress)
        runner.sampled.connect(self._on_sample)
        runner.ended.connect(self._on_end)
        form.look.edited.connect(self._start_waiting)

    @property
    def busy(self) -> bool:
        """Whether a run goes on that a button began."""
        return self.runner.busy and not self.live.busy

    @property
    def shows_time(self) -> bool:
        """Whether the time that is left of a run stands in the bar."""
        return self._run is not None

    def start(self) -> None:
        """Synthesises; while a run goes on, a second click does nothing."""
        self._start(self.form.sampling.draw_seeds)

    def vary(self, seeds: tuple[int, ...]) -> None:
        """Synthesises these seeds for the gallery: the viewer shows one of them after the other."""
        self._start(lambda: seeds, fleeting=True)

    def _start(
        self,
        draw_seeds: Callable[[], tuple[int, ...]],
        fleeting: bool = False,
        again: bool = False,
    ) -> None:
        """``again``: also where it gives pixels that are there already."""
        this = partial(self._start, draw_seeds, fleeting, again)
        if self.live.busy:
            self._start_next = this
            self.live.stop()
            return
        if self.runner.busy or self._waits_for_look(this):
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
        points = self.form.layout.points
        assert points is not None  # the request has a layout
        self._run = RunView(request.layout, self.form.placement_of(request), points.name)
        self._run.fleeting = fleeting
        self.bar.begin(request)
        self.runner.call("synthesize", request, self.form.previews)
        self.changed.emit()

    def _start_with_another_seed(self) -> None:
        self.form.sampling.random.value = True
        self.start()

    def start_into_image(self, sure: bool = False) -> None:
        """Samples the layout into the image under it; while a run goes on, a click does nothing.

        An image that is not H&E is asked about, unless the user is ``sure``.
        """
        if (
            self.live.busy
            or self.runner.busy
            or self._waits_for_look(partial(self.start_into_image, sure), into_image=True)
        ):
            return
        points = self.form.layout.points
        try:
            request = self.form.request(self.form.sampling.draw_seeds(), into_image=True)
            assert points is not None  # the request has a layout
            whole = self.form.sampling.whole_canvas
            into = into_image(self.viewer, points, request, self.form.mpp, ask_mpp, whole)
        except ValueError as error:
            show_warning(str(error))
            return
        if into is None:
            return
        self._run = RunView(request.layout, into.placement, f"{points.name} in image")
        self.bar.begin(into.request)
        self.runner.start(partial(self._painted, into, self.form.previews, sure))
        self.changed.emit()

    def _painted(
        self, into: IntoImage, previews: Previews, sure: bool
    ) -> Iterator[Progress | Synthesis]:
        """In the worker's thread, which reads the slide, too."""
        place = into.read()
        self._brown = not sure and brown_share(place.image[place.region.slices]) > BROWN
        if not self._brown:
            yield from self.runner.backend.call("inpaint", into.request, place, previews)

    def _ask_about_stain(self) -> None:
        self._brown = False
        self.bar.status.value = "nothing was painted"
        self.bar.offer.make(
            "The image is brown, as immunohistochemistry with DAB is. This model knows H&E only and "
            "would paint pink and violet into it.",
            {"Paint all the same": partial(self.start_into_image, sure=True)},
        )

    def start_repaint(self, wanted: Wanted) -> None:
        """Paints a result's image anew where its labels were corrected; another run comes first."""
        if self.runner.busy:
            show_warning("a run goes on: repaint when it is over")
            return
        try:
            form = self.form.settings((int(self.form.sampling.seed.value),), wanted.record.layout)
            request = repaint_request(form, wanted)
        except ValueError as error:
            show_warning(str(error))
            return
        self._repainting = wanted
        self.bar.begin(request)
        self.runner.call("repaint", request, wanted.record, wanted.changed)
        self.changed.emit()

    def _on_repainted(self, wanted: Wanted, made: Synthesis) -> None:
        shown = wanted.shown
        there = results.groups(self.viewer).get(shown.name, {})
        if "labels" not in there or not np.array_equal(
            shown.group().data("labels").reshape(-1, *wanted.changed.shape)[wanted.sample],
            wanted.record.labels,
        ):
            show_warning(f"{shown.name}: it changed meanwhile: repaint again")
            return
        put_painted(wanted, made)
        self._told = shown.name
        self.bar.status.value = f"repainted in {made.seconds:.1f} s"

    def _waits_for_look(self, start: Callable[[], None], into_image: bool = False) -> bool:
        """Whether the look is not known yet; ``start`` follows when it is."""
        if self.form.look.ready(into_image):
            return False
        self._start_next = start
        self.bar.status.value = READING_LOOK
        return True

    def _start_waiting(self) -> None:
        if self._start_next is not None and not self.runner.busy and self.form.look.ready():
            start, self._start_next = self._start_next, None
            start()

    def stop(self) -> None:
        """Cancels the run: no further step, and no further layer."""
        self.runner.cancel()
        if self._run is not None and self._run.view is not None:
            self._run.view.stop()

    def switch_layout(self) -> None:
        """Another layout is chosen, or none: what was meant for the last one is not begun any more."""
        self.live_sampling.leave()  # its sample is of the layout that was; the next edit begins anew
        self._start_next = None
        if self.form.layout.points is None and self.runner.busy and not self.runner.cancelled:
            self.stop()
            show_warning("The layout was removed: its synthesis is cancelled.")
        self.changed.emit()

    def _on_progress(self, progress: Progress) -> None:
        run = self._run
        if run is None:
            if self._repainting is not None:
                self.bar.advance(progress)
            return
        self.bar.advance(progress)
        run.view_of(self.viewer, progress.seed, self.gallery.names).show_progress(progress)

    def _on_sample(self, sample: Synthesis) -> None:
        run = self._run
        if self._repainting is not None:
            self._on_repainted(self._repainting, sample)
        if run is None:
            return
        view = run.view_of(self.viewer, sample.seed, self.gallery.names)
        view.show_sample(sample)
        self.gallery.record(sample, run.name, run.placement, view.group, run.fleeting)
        run.view = None
        self.displayed.emit(view.group)
        self._mark(sample, run.layout)
        self._tell(sample, group=view.group)

    def _mark(self, sample: Synthesis, sampled: Layout) -> None:
        """Marks the layout's points, if they still are the ones that were sampled."""
        try:
            now = self.form.layout.layout_now()
        except ValueError:
            return
        if same_layout(now, sampled):
            points = self.form.layout.points
            assert points is not None
            set_notes(points, sample.report)
        else:
            show_info("The layout changed during the run; the result is of the layout as it was.")

    def forget_gone(self) -> None:
        """Says no more of a result whose layers are gone."""
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
        run, self._run = self._run, None
        self._repainting = None
        if self._brown:
            self._ask_about_stain()
        if run is not None and run.view is not None:
            run.view.remove()
        if not self.live.busy:  # its next run has begun already
            waits = outcome == "cancelled" and run is None and self.live.on
            self.bar.end(LIVE if waits else outcome)
        self.changed.emit()
        self._start_waiting()


def made_already(viewer: ViewerModel, request: Request) -> str:
    """The result in the viewer whose pixels this request would give again; empty where one is missing."""
    there: dict[int, str] = {}
    for name, layers in results.groups(viewer).items():
        made = layers["labels"].metadata.get(SAMPLE_KEY) if "labels" in layers else None
        if not isinstance(made, Synthesis) or made.seed not in request.seeds:
            continue
        whole = not made.provenance.keys() & {"resampled", "inpainted"}
        if whole and same_pixels(
            *(replace(r, seeds=(made.seed,)) for r in (made.request, request))
        ):
            there[made.seed] = name
    return there[request.seeds[-1]] if there.keys() == set(request.seeds) else ""
