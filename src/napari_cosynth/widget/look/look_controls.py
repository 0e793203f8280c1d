"""The form's *Look*: a reference for the stain and grain of the next sample; each layout has its own.

A thread reads the pictures; the sampling process measures the numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from magicgui.widgets import ComboBox, Label, Widget
from napari.components import ViewerModel
from napari.layers import Image, Points
from napari.utils.notifications import show_warning
from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QFileDialog

from napari_cosynth.types.recipe import BY_SEED
from napari_cosynth.widget.layers.region import known_mpp
from napari_cosynth.widget.look import look_reference
from napari_cosynth.widget.look.look_choice import BELOW, FILE, LAYER, SEED, Asked, LookChoice
from napari_cosynth.widget.look.look_reader import LookReader
from napari_cosynth.widget.look.look_reference import (
    LARGEST,
    Ask,
    FileReference,
    Reference,
    file_facts,
    too_large,
)
from napari_cosynth.widget.qt.forms import offer
from napari_cosynth.widget.qt.questions import ask_layer, ask_mpp
from napari_cosynth.widget.qt.thumbnails import as_html
from napari_cosynth.widget.run.background import Background
from napari_cosynth.widget.run.facts import CheckpointFacts

HEIGHT, LARGE = 22, 192
"""Height in pixels of the picture in the form, and longer side of the picture in its tooltip."""


class LookControls:
    """The form's line *Look*. It checks the viewer's layers whenever it is asked for the look."""

    edited = Signal()
    """Another look was chosen, or its numbers were measured, or the measurement failed."""

    def __init__(self, viewer: ViewerModel, ask: Ask) -> None:
        self.viewer = viewer
        self.chosen = LookChoice()
        self.choice = ComboBox(choices=[BELOW, LAYER, FILE, SEED], value=BELOW, label="Look")
        self.picture = Label(value="")
        self.picture.native.setFixedHeight(HEIGHT)
        self.facts: CheckpointFacts | None = None
        self._reason = ""  # why there is no image below to follow
        self.reader = LookReader(ask, LARGE)
        self._work = Background("look-file")
        self.choice.changed.connect(self._on_choice)
        self.reader.seen.connect(self._on_seen)
        self.reader.known.connect(self._take)
        self._show()

    @property
    def row(self) -> list[Widget]:
        """The widgets in the form's line *Look*."""
        return [self.choice, self.picture]

    @property
    def summary(self) -> str:
        """The choice in words; empty if the checkpoint follows no look."""
        return f"look {self.choice.value}" if self._follows else ""

    def close(self) -> None:
        """Ends the background work, because the dock is being destroyed."""
        self.reader.close()
        self._work.close()

    # -- the look of the next request

    def ready(self, into_image: bool = False) -> bool:
        """Whether the look is known; if not, ``edited`` is emitted once it is."""
        self.refresh()
        by_itself = into_image and self.chosen.kind == BELOW
        return self.reader.ready or by_itself

    def asked(self) -> Asked:
        """Look for a request that samples a whole canvas. Raises ValueError if it cannot be followed."""
        kind = self.chosen.kind
        if not self._follows or kind == SEED:
            return BY_SEED, ""
        if self.reader.found is not None:
            return self.reader.found
        if kind == BELOW:
            return BY_SEED, ""
        if (measured := self.chosen.measured) is not None:
            return measured
        raise ValueError(f"look: {self.reader.failure or 'it is being read'}")

    def asked_into_image(self) -> Asked:
        """Look for a request into an image; without a choice it follows the image around the region."""
        return (BY_SEED, "") if self.chosen.kind == BELOW else self.asked()

    # -- the choice

    def use_facts(self, facts: CheckpointFacts) -> None:
        """Takes from these facts whether the checkpoint follows looks, and its µm/px."""
        self.facts = facts
        self._update()

    def use_layout(self, points: Points | None) -> None:
        """Shows this layout's look: the chosen one or, for a layout from a stack, that of its sample."""
        try:
            self.chosen.use_layout(points)
        except ValueError as error:
            show_warning(str(error))
        self._update()

    def choose_layer(self, name: str) -> None:
        """Follows an image layer, or its part under the chosen rectangle.

        Raises ValueError if the layer is no 8-bit RGB image, or the part is too large or too small.
        """
        layer = self.viewer.layers[name]
        if not isinstance(layer, Image):
            raise ValueError(f"{name}: expected an image")
        mpp = known_mpp(layer, ask_mpp)
        if mpp is None or self.facts is None:
            return
        box = look_reference.chosen_box(self.viewer, layer)
        look_reference.of_layer(layer, box, mpp, self.facts.mpp)
        self._choose({"kind": LAYER, "name": name, "box": list(box), "mpp": mpp})

    def choose_file(self, path: Path) -> None:
        """Follows an image file; asks for the µm/px if the file does not have it."""

        def choose(found: tuple[tuple[int, int], float | None]) -> None:
            (height, width), mpp = found
            mpp = mpp or ask_mpp(path.name)
            if mpp is None or self.facts is None:
                return
            factor = mpp / self.facts.mpp
            shape = (round(height * factor), round(width * factor))
            if max(shape) > LARGEST:
                show_warning(too_large(path.name, shape, self.facts.mpp))
                return
            self._choose({"kind": FILE, "path": str(path), "mpp": mpp})

        self._work.do(lambda: file_facts(path), choose)

    def _choose(self, chosen: dict[str, Any]) -> None:
        self.chosen.choose(chosen)
        self._update()

    def _on_choice(self, value: str) -> None:
        try:
            if value in (BELOW, SEED):
                self._choose({"kind": value})
            elif value == LAYER:
                names = [x.name for x in reversed(self.viewer.layers) if _is_rgb(x)]
                if not names:
                    raise ValueError("no RGB image layer: open a slide or an image first")
                if name := ask_layer(names):
                    self.choose_layer(name)
            elif value == FILE:
                path, _ = QFileDialog.getOpenFileName(
                    self.choice.native, "An image whose look is to be followed"
                )
                if path:
                    self.choose_file(Path(path))
        except ValueError as error:
            show_warning(str(error))
        finally:
            self._show()

    @property
    def _follows(self) -> bool:
        return self.facts is not None and self.facts.follows_looks

    # -- the reference

    def refresh(self) -> None:
        """Finds the reference again in the viewer; a new reference is read and measured."""
        reason, reference = self._reason, self._reference()
        another = self.reader.follow(reference)
        if another:
            self.chosen.keep(self.reader.found)
        if another or reason != self._reason:
            self._show()

    def _update(self) -> None:
        self.refresh()
        self._show()
        self.edited.emit()

    def _reference(self) -> Reference | None:
        self._reason = ""
        kind, chosen, facts = self.chosen.kind, self.chosen.stored, self.facts
        if facts is None or not facts.follows_looks:
            return None
        try:
            if kind == LAYER and chosen["name"] in self.viewer.layers:
                layer = self.viewer.layers[chosen["name"]]
                return look_reference.of_layer(
                    layer, tuple(chosen["box"]), chosen["mpp"], facts.mpp
                )
            if kind == FILE and (path := Path(chosen["path"])).exists():
                return FileReference(path, chosen["mpp"], facts.mpp)
            if self.chosen.points is None:
                raise ValueError("no layout")
            below = look_reference.below(self.viewer, self.chosen.points, facts.mpp)
        except ValueError as error:
            self._reason = str(error)
            return None
        return below if kind == BELOW else None

    def _take(self) -> None:
        self.chosen.keep(self.reader.found)
        self._show()
        self.edited.emit()

    # -- display

    def _on_seen(self) -> None:
        if self.reader.brown and self._follows:
            show_warning(
                "look: the reference is brown, as immunohistochemistry with DAB is; this model knows H&E "
                f"only and cannot follow it: choose {SEED} or another reference"
            )
        self._show()

    def _show(self) -> None:
        kind, own = self.chosen.kind, self.chosen.own_name
        nothing = kind == BELOW and (self.reader.reference is None or bool(self.reader.failure))
        value = own or (SEED if nothing else kind)
        choices = [*([own] if own else []), BELOW, LAYER, FILE, SEED]
        with self.choice.changed.blocked():
            if list(self.choice.choices) != choices:
                self.choice.choices = choices
            self.choice.value = value
        reason = self.reader.failure or self._reason
        offer(self.choice, lambda name: reason if name == BELOW else "")
        self.choice.enabled = self._follows
        name = Path(self.facts.name).name if self.facts else "the checkpoint"
        self.choice.tooltip = (
            self.chosen.explained(value, self.reader.found)
            if self._follows
            else f"{name} follows no look: it was trained without"
        )
        image = self.reader.image if self._follows else None
        self.picture.visible = image is not None
        if image is not None:
            small = image.scaledToHeight(HEIGHT, Qt.TransformationMode.SmoothTransformation)
            width = min(small.width(), 2 * HEIGHT)
            self.picture.native.setPixmap(QPixmap.fromImage(small.copy(0, 0, width, HEIGHT)))
            self.picture.tooltip = as_html(image)


def _is_rgb(layer: Any) -> bool:
    return isinstance(layer, Image) and bool(layer.rgb) and layer.ndim == 2
