"""Live: every edit of the layout is followed by its sample, the newest edit winning."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_cosynth.geometry.edits import changed_box, same_layout
from napari_cosynth.types import NO_PREVIEWS, Previews, Progress, Request, Synthesis
from napari_cosynth.types.recipe import BY_SEED, FEW, same_but
from napari_cosynth.widget.run.sampling_controls import PREVIEW_S, draft_steps
from napari_cosynth.widget.run.worker import Runner

GATHER_MS = 30
"""Edits that come closer together than this, such as a brush's, are one."""
REST_MS, FEW_REST_MS = 1000, 250
"""A hand that rests so long gets the full number of steps; the second where those are few, and so are
done soon."""
WINDOW_ABOVE = 256
"""Canvases with a longer side are only ever sampled around the edit; smaller ones in drafts."""
LARGEST_EDIT = 768
"""Pixels; an edit that reaches further is a new sample: a window is sampled at once, and takes memory."""
DRAFT = Previews(every=1, after=PREVIEW_S)
"""Every step of a draft is shown."""
_FOLLOWING = ("prompt", "steps", "look_of")
"""Of a request: what an edit or a draft may change, beside the points."""
REMEMBERED = 256 * 2**20
"""Bytes of full samples kept, so that undo brings back the very pixels."""


class Live:
    """Turns edits into draft and full samples. One run at a time, on the dock's runner."""

    began = Signal(Request)
    """A draft or a full run begins."""
    shown = Signal(Synthesis)
    """A sample of the layout as it is now: a draft, a full one, or one remembered."""
    previewed = Signal(Progress)
    """The estimate after a step of a draft: what is seen first after an edit."""
    dropped = Signal()
    """No sample follows the estimates that were previewed."""

    def __init__(self, runner: Runner, make_request: Callable[[], Request | None]) -> None:
        self.runner = runner
        self.make_request = make_request
        """The form's request, or None where it makes none at the moment."""
        self.on = False
        self._running: Request | None = None
        self._previews = NO_PREVIEWS
        """Of the run under way; drafts have some."""
        self._newest: Request | None = None
        """Of the newest edit, with the full number of steps. The layout may be ahead of it, within a
        stroke whose end will be the next edit."""
        self._wanted: Callable[[], None] | None = None
        """Starts the newest edit's run once the present one has ended."""
        self._finish_next = False
        """Whether the full number of steps follows the draft under way, which is of this layout."""
        self._seen = False
        """Whether the run under way has shown anything yet."""
        self._full: deque[Synthesis] = deque()
        self._previewed = False
        self._gather = self._timer(GATHER_MS, self._draft)
        self._rest = self._timer(REST_MS, self._finish)  # set anew by each draft
        runner.progressed.connect(self._on_progress)
        runner.sampled.connect(self._on_sample)
        runner.ended.connect(self._on_end)

    def _timer(self, milliseconds: int, action: Callable[[], None]) -> QTimer:
        timer = QTimer()
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.timeout.connect(action)
        return timer

    def switch(self, on: bool) -> None:
        """On: begins with a sample of the layout as it is. Off: drops what is under way."""
        self.on = on
        if on:
            self.touch()
        else:
            self.stop()

    def touch(self) -> None:
        """The layout or the form was edited."""
        if self.on:
            self._gather.start()
            self._rest.stop()

    def stop(self) -> None:
        """Drops the running draft and every plan for one."""
        for timer in (self._gather, self._rest):
            with suppress(RuntimeError):  # when the program ends, Qt may have destroyed it first
                timer.stop()
        self._wanted, self._finish_next = None, False
        if self._running is not None:
            self.runner.cancel()

    @property
    def busy(self) -> bool:
        return self._running is not None

    def _draft(self) -> None:
        self._newest = request = self.make_request()
        if request is None:
            self._drop_running()  # the layout is no longer what it samples
            return
        known = self._remembered(request)
        if known is not None:
            self._drop_running()
            self._show(known)
            return
        self._rest.start(FEW_REST_MS if request.sampler == FEW else REST_MS)
        steps = draft_steps(request.sampler, request.steps)
        self._start(replace(request, steps=steps), self._base(request), DRAFT)

    def _finish(self) -> None:
        if self._wanted is not None:
            self._rest.start()  # the draft comes first
            return
        if self.runner.busy:
            # A draft that is still under way is of this very layout, and may be all that is wanted.
            self._finish_next = True
            return
        request = self._newest
        if request is not None and self._remembered(request) is None:
            self._start(request, self._base(request) if _large(request) else None, NO_PREVIEWS)

    def _drop_running(self) -> None:
        self._wanted, self._finish_next = None, False
        if self._running is not None:
            self.runner.cancel()

    def _start(self, request: Request, base: Synthesis | None, previews: Previews) -> None:
        """Starts a run once the present one has ended; that is cancelled if it is ours.

        A draft is cancelled only once its first estimate is seen: else a hand that clicks faster than
        a step takes would see nothing before it rests. With a ``base`` only the surroundings of what
        differs from it are sampled.
        """
        if self.runner.busy:
            self._wanted = lambda: self._start(request, base, previews)
            self._finish_next = False
            if self._running is not None and (self._seen or self._previews is NO_PREVIEWS):
                self.runner.cancel()
            return
        self._running, self._previews = request, previews
        self._seen = self._finish_next = False
        sent = self._in_the_look_before(request)
        # No box where the points are the old ones: then the text is new, which concerns all pixels.
        box = changed_box(base.request.layout, request.layout) if base else None
        if box is None or max(box.shape) > LARGEST_EDIT:
            self.runner.call("synthesize", sent, previews)
        else:
            self.runner.call("resynthesize", sent, base, box, previews)
        self.began.emit(request)

    def _base(self, request: Request) -> Synthesis | None:
        """The newest full sample, if one of the edited layout may differ from it in a window only."""
        if not self._full:
            return None
        base = self._full[-1]
        same_grid = base.record.layout.shape == request.layout.shape
        return base if same_grid and same_but(base.request, request, *_FOLLOWING) else None

    def _in_the_look_before(self, request: Request) -> Request:
        """The request in the look that a seed drew before: an edit would draw another."""
        base = self._base(request)
        if base is None or request.look != BY_SEED or not base.provenance.get("look"):
            return request
        look_of = str(base.provenance.get("look_of", ""))
        return replace(request, look=tuple(base.provenance["look"]), look_of=look_of)

    def _remembered(self, request: Request) -> Synthesis | None:
        for sample in self._full:
            if same_pixels(sample.request, request):
                return sample
        return None

    def _remember(self, sample: Synthesis) -> None:
        """Keeps a full sample, and of the older ones as many as fit beside it."""
        self._full.append(sample)
        while len(self._full) > 1 and sum(kept.nbytes for kept in self._full) > REMEMBERED:
            self._full.popleft()

    def _show(self, sample: Synthesis) -> None:
        self._previewed = False
        self.shown.emit(sample)

    def _on_progress(self, progress: Progress) -> None:
        # After the last step the sample itself follows at once.
        if self._running is None or progress.image is None or progress.step == progress.steps:
            return
        self._previewed = self._seen = True
        self.previewed.emit(progress)
        if self._wanted is not None:  # a newer edit waited for this
            self.runner.cancel()

    def _on_sample(self, sample: Synthesis) -> None:
        if self._running is None:
            return
        asked = replace(sample.request, look=self._running.look, look_of=self._running.look_of)
        sample = replace(sample, request=asked)  # its recipe has the look that it is in
        request = self.make_request()
        whole = _large(sample.request) or "resampled" not in sample.provenance
        if request is not None and request.steps == sample.request.steps and whole:
            self._remember(sample)
        self._show(sample)

    def _on_end(self, outcome: str) -> None:
        self._running = None
        wanted, self._wanted = self._wanted, None
        if self._previewed and wanted is None:
            self._previewed = False
            self.dropped.emit()
        if outcome == "failed":
            self.stop()
        elif wanted is not None and self.on:
            wanted()
        elif self._finish_next and self.on:
            self._finish()


def _large(request: Request) -> bool:
    return max(request.layout.shape) > WINDOW_ABOVE


def same_pixels(first: Request, second: Request) -> bool:
    """Whether both ask for the same pixels."""
    return same_but(first, second, "look_of") and same_layout(first.layout, second.layout)
