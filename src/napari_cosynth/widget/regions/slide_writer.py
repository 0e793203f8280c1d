"""The writing of a slide with the results in it: asked for, shown in a progress bar, and told."""

from __future__ import annotations

from pathlib import Path

from napari.components import ViewerModel
from napari.utils import progress
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_cosynth.widget.layers.region import known_mpp
from napari_cosynth.widget.qt.questions import ask_mpp
from napari_cosynth.widget.qt.status import Status
from napari_cosynth.widget.regions import painted
from napari_cosynth.widget.run.background import Background


class SlideWriter(QObject):
    """Writer of one slide at a time, in the regions dock's thread."""

    changed = Signal()
    """The writing began or ended."""
    advanced = Signal(float)
    """The share that is written, 0 to 1; emitted in the thread."""

    def __init__(
        self, viewer: ViewerModel, work: Background, status: Status, dock: QWidget
    ) -> None:
        super().__init__(dock)
        self._viewer, self._work, self._status, self._dock = viewer, work, status, dock
        self._bar: progress | None = None
        self.advanced.connect(self._show_written)

    @property
    def busy(self) -> bool:
        """Whether a slide is being written."""
        return self._bar is not None

    def ask_and_write(self) -> None:
        """Asks for the file, then writes."""
        found = painted.painted_in(self._viewer)
        slide = painted.slide_of(self._viewer, found)
        mpp = known_mpp(slide, ask_mpp)
        path, _ = QFileDialog.getSaveFileName(
            self._dock,
            "A copy of the slide, edited",
            f"{slide.name}-edited.ome.tif",
            "*.ome.tif *.tif",
        )
        if path and mpp is not None:
            self.write_to(Path(path), mpp)

    def write_to(self, path: Path, mpp: float) -> None:
        """Writes a copy of the slide with the results in it, off the GUI thread.

        Raises ValueError if ``path`` is the slide itself.
        """
        found = painted.painted_in(self._viewer)
        slide = painted.slide_of(self._viewer, found)
        source = slide.source.path
        if source is not None and Path(source).exists() and path.exists() and path.samefile(source):
            raise ValueError(f"{path}: this is the slide itself, which is never written to")
        here = [one for one in found if one.image == slide.name]
        taken, left = painted.one_for_each_place(here)
        self._bar = progress(total=100, desc=f"writing {path.name}")
        self.changed.emit()

        def done(_: object) -> None:
            self._end_bar()
            parts = "1 region" if len(taken) == 1 else f"{len(taken)} regions"
            also = f"; left out, as others lie there: {', '.join(o.name for o in left)}"
            self._status.value = f"written: {path.name} with {parts}" + (also if left else "")

        def failed(error: Exception) -> None:
            self._end_bar()
            self._status.value = str(error)

        self._work.do(
            lambda: painted.write_slide(path, slide, mpp, taken, self.advanced.emit), done, failed
        )

    def _show_written(self, share: float) -> None:
        if self._bar is not None:
            self._bar.update(int(100 * share) - self._bar.n)
            self._status.value = f"writing the slide, {share:.0%}"

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self.changed.emit()
