"""Progress of a run in napari's activity dock while the plugin's dock is closed."""

from __future__ import annotations

from napari.utils import progress
from napari.utils.notifications import show_info

from napari_cosynth.types import Progress
from napari_cosynth.widget.run.worker import Runner

PARTS = 100
"""Units of the progress bar."""


class Activity:
    """Progress bar, shown from :meth:`begin` until the last waiting run has ended, or :meth:`end`."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.bar: progress | None = None
        runner.progressed.connect(self._advance)
        runner.ended.connect(self._on_end)

    def begin(self) -> None:
        """Shows the bar because the dock was closed; a message tells how to follow or cancel the run."""
        if self.runner.busy and self.bar is None:
            self.bar = progress(total=PARTS, desc="CoSynth samples")
            show_info("CoSynth goes on sampling: open its dock again to follow or cancel the run")

    def end(self) -> None:
        """Removes the bar, because all runs are over or the dock shows them again."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _on_end(self) -> None:
        if not self.runner.busy:  # else the next run has begun
            self.end()

    def _advance(self, now: Progress) -> None:
        if self.bar is not None:
            done = (now.index * now.steps + now.step + now.part) / (now.count * now.steps)
            self.bar.update(int(PARTS * done) - self.bar.n)
