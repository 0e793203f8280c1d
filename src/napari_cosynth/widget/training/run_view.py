"""Progress of a run: a figure of its log as a curve, and the samples of a validation."""

from __future__ import annotations

from pathlib import Path

from magicgui.widgets import ComboBox, Label, PushButton
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QImage, QPixmap, QResizeEvent
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from napari_cosynth.training.run_folder import SECONDS, Run
from napari_cosynth.widget.qt.forms import allow, column_in, form, side_by_side
from napari_cosynth.widget.training.curve_view import CurveView

WORDS = {
    "loss": "loss of a step",
    "val_image": "image, held-out tiles",
    "val_distance": "distance, held-out tiles",
    "val_labels": "labels, held-out tiles",
    "train_image": "image, training tiles",
    "train_distance": "distance, training tiles",
    "train_labels": "labels, training tiles",
    "generator": "generator",
    "discriminator": "discriminator",
    "nucleus_area": "nucleus area over real",
    SECONDS: "seconds of a step",
}
"""Figures of the log, in the order in which they are offered, and their texts."""
HIGHEST = 330
"""Largest height of the samples in pixels; with the curve they fit a small screen."""
CAPTION = "real tile and labels · sample, its labels and distance"


class RunView(QWidget):
    """View of a run. It is given pictures that were read already, because reading them takes long."""

    def __init__(self) -> None:
        super().__init__()
        self.run: Run | None = None
        self.figure = ComboBox(choices=["loss of a step"])
        self.curve = CurveView()
        self.back = PushButton(text="Earlier")
        self.forward = PushButton(text="Later")
        self.at = Label(value="no samples yet")
        self.large = PushButton(text="In the viewer")
        self.grid = QLabel()
        self.caption = QLabel(CAPTION)
        self._picture: QImage | None = None
        self.chosen: Path | None = None
        """File of the chosen grid of samples; None: always the newest."""
        self.figure.tooltip = "Which figure of the run's log"
        self.back.tooltip = "The samples of the validation before"
        self.forward.tooltip = "The samples of the validation after"
        self.large.tooltip = "These samples as a layer, at their own size"
        self.grid.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        self.grid.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.caption.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.caption.setWordWrap(True)
        box = column_in(self)
        box.addWidget(form(("Figure", [self.figure])))
        box.addWidget(self.curve)
        box.addWidget(side_by_side(self.back, self.forward, self.large, self.at))
        box.addWidget(self.grid)
        box.addWidget(self.caption)
        self.figure.changed.connect(lambda: self._show_curve())
        self.grid.installEventFilter(self)
        self.show_run(None)

    @property
    def wanted(self) -> Path | None:
        """File of the grid to show; None if there is no grid."""
        grids = self.run.grids if self.run is not None else ()
        if self.chosen in grids:
            return self.chosen
        return grids[-1] if grids else None

    def step(self, by: int) -> None:
        """Goes to an earlier or later grid; from the newest on, newer ones are shown as they come."""
        grids = self.run.grids if self.run is not None else ()
        if self.wanted is None:
            return
        place = max(0, min(len(grids) - 1, grids.index(self.wanted) + by))
        self.chosen = None if place == len(grids) - 1 else grids[place]
        self._show_buttons()

    def show_run(self, run: Run | None) -> None:
        """Shows another run, or a newer state of the same run."""
        self.run = run
        there = run.curves if run is not None else {}
        choices = [words for name, words in WORDS.items() if name in there] or [WORDS["loss"]]
        if tuple(choices) != tuple(self.figure.choices):
            before = self.figure.value
            with self.figure.changed.blocked():
                self.figure.choices = choices
                self.figure.value = before if before in choices else choices[0]
        self._show_curve()
        self._show_buttons()

    def show_picture(self, picture: QImage | None) -> None:
        """Shows the picture of a grid; None: no picture."""
        if picture is not self._picture:  # fitting a large picture takes time
            self._picture = picture
            self._fit()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if watched is self.grid and isinstance(event, QResizeEvent):
            self._fit()
        return bool(super().eventFilter(watched, event))

    def _fit(self) -> None:
        picture = self._picture
        if picture is None or picture.isNull():
            self.grid.setPixmap(QPixmap())
            self.grid.setFixedHeight(0)
            return
        high = min(HIGHEST, round(self.grid.width() * picture.height() / picture.width()))
        self.grid.setFixedHeight(high)
        self.grid.setPixmap(
            QPixmap.fromImage(picture).scaled(
                self.grid.width(),
                high,
                Qt.AspectRatioMode.KeepAspectRatio,
                Qt.TransformationMode.SmoothTransformation,
            )
        )

    def _show_curve(self) -> None:
        names = {words: name for name, words in WORDS.items()}
        curves = self.run.curves if self.run is not None else {}
        self.curve.show_curve(curves.get(names[str(self.figure.value)]))

    def _show_buttons(self) -> None:
        grids = self.run.grids if self.run is not None else ()
        shown = self.wanted
        place = grids.index(shown) if shown is not None else 0
        allow(self.large, "" if shown is not None else "there are no samples yet")
        allow(self.back, "" if place > 0 else "there are no earlier samples")
        allow(self.forward, "" if place < len(grids) - 1 else "these are the newest")
        self.at.value = f"step {int(shown.stem):,}" if shown is not None else "no samples yet"
        self.caption.setVisible(shown is not None)
