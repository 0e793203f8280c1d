"""Live: samples the layout after every edit; a newer edit replaces an older one."""

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
from napari_cosynth.widget.run.collection import NewOnly
from napari_cosynth.widget.run.sampling_controls import PREVIEW_S, draft_steps
from napari_cosynth.widget.run.worker import Runner

GATHER_MS = 30
"""Edits that follow each other within this time, such as a brush's, count as one."""
REST_MS, FEW_REST_MS = 1000, 250
"""Time without an edit after which the full number of steps is sampled; the second is for the sampler
``few``, whose steps are soon done."""
WINDOW_ABOVE = 256
"""Longest side in pixels of canvases that are sampled whole once the user rests.

On larger ones drafts and full samples cover only the surroundings of the edit; on smaller ones only
drafts do."""
LARGEST_EDIT = 768
"""Longest side of an edit's window in pixels; beyond it the whole canvas is sampled, because a window is
sampled in one piece and takes memory."""
DRAFT = Previews(every=1, after=PREVIEW_S)
"""Previews of drafts: every step is shown."""
_FOLLOWING = ("prompt", "steps", "look_of")
"""Fields of a request that an edit or a draft may change, beside the points."""
REMEMBERED = 256 * 2**20
"""Bytes of full samples that are kept, so that undo shows exactly the same pixels again."""


class Live:
    """Turns edits into draft and full samples. One run at a time, on the dock's runner."""

    began = Signal(Request)
    """A draft or a full run begins."""
    shown = Signal(Synthesis)
    """A sample of the current layout: a draft, a full sample, or a remembered one."""
    previewed = Signal(Progress)
    """The clean estimate after a step of a draft, which is the first thing seen after an edit."""
    dropped = Signal()
    """No sample will follow the previewed estimates."""

    def __init__(self, runner: Runner, make_request: Callable[[], Request | None]) -> None:
        self.runner = runner
        self.make_request = make_request
        """Returns the form's request, or None if it has none at the moment."""
        self.on = False
        self._running: Request | None = None
        self._previews = NO_PREVIEWS
        """Previews of the current run; only drafts have some."""
        self._newest: Request | None = None
        """Request of the newest edit, with the full number of steps. During a stroke the layout may be
        newer; the end of the stroke is the next edit."""
        self._wanted: Callable[[], None] | None = None
        """Starts the newest edit's run once the current one has ended."""
        self._finish_next = False
        """Whether the full number of steps follows the current draft, which is of this layout."""
        self._seen = False
        """Whether the current run has shown anything yet."""
        self._full: deque[Synthesis] = deque()
        self._previewed = False
        self._collection = NewOnly()
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
        """On: begins with a sample of the current layout. Off: drops the current run."""
        self.on = on
        if on:
            self.touch()
        else:
            self.stop()

    def touch(self) -> None:
        """Tells that the layout or the form was edited."""
        if self.on:
            self._collection.begin()
            self._gather.start()
            self._rest.stop()

    def stop(self) -> None:
        """Cancels the current run and drops all planned ones."""
        for timer in (self._gather, self._rest):
            with suppress(RuntimeError):  # when the program ends, Qt may have destroyed it first
                timer.stop()
        self._collection.end()
        self._wanted, self._finish_next = None, False
        if self._running is not None:
            self.runner.cancel()

    @property
    def busy(self) -> bool:
        return self._running is not None

    def _draft(self) -> None:
        self._newest = request = self.make_request()
        if request is None:
            self._drop_running()  # it samples an earlier layout
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
            # The current draft is of this same layout, and may have all steps that are wanted.
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
        """Starts a run once the current one has ended; a current run of Live is cancelled.

        A draft is cancelled only after its first estimate was shown. Else a user who clicks faster than a
        step takes would see nothing until the last click. With a ``base`` only the surroundings of the
        differences from it are sampled.
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
        # No box if the points are the same: then the text is new, which concerns all pixels.
        box = changed_box(base.request.layout, request.layout) if base else None
        if box is None or max(box.shape) > LARGEST_EDIT:
            self.runner.call("synthesize", sent, previews)
        else:
            self.runner.call("resynthesize", sent, base, box, previews)
        self.began.emit(request)

    def _base(self, request: Request) -> Synthesis | None:
        """The newest full sample, if a sample of the edited layout needs to differ only in a window."""
        if not self._full:
            return None
        base = self._full[-1]
        same_grid = base.record.layout.shape == request.layout.shape
        return base if same_grid and same_but(base.request, request, *_FOLLOWING) else None

    def _in_the_look_before(self, request: Request) -> Request:
        """The request with the look that the seed drew before the edit; it would draw another now."""
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
        """Keeps a full sample, and as many older ones as fit into ``REMEMBERED``."""
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
        if self._wanted is not None:  # a newer edit has waited for this estimate
            self.runner.cancel()

    def _on_sample(self, sample: Synthesis) -> None:
        if self._running is None:
            return
        asked = replace(sample.request, look=self._running.look, look_of=self._running.look_of)
        sample = replace(sample, request=asked)  # the recipe still has the look that was followed
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
