"""The gallery dock's section for stain: matches the chosen result to a reference, and undoes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from magicgui.widgets import ComboBox, Label, PushButton, SpinBox
from napari.components import ViewerModel
from napari.utils.notifications import show_info, show_warning
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_cosynth import registry
from napari_cosynth.stain.stain_match import KEY as RECIPE_KEY
from napari_cosynth.stain.stain_match import StainMatch, match_to, match_to_file
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.results import UNMATCHED
from napari_cosynth.widget.layers.tags import KEY
from napari_cosynth.widget.look.reference import region_pixels
from napari_cosynth.widget.qt.forms import column_in, form, side_by_side
from napari_cosynth.widget.result.result_picker import ResultPicker
from napari_cosynth.widget.run.background import Background


class StainControls(QWidget):
    """Form for the CoSynth dock's chosen result; fitting and matching run off the GUI thread."""

    def __init__(self, viewer: ViewerModel, picker: ResultPicker) -> None:
        super().__init__()
        self.viewer = viewer
        self._picker = picker
        self._work = Background("stain")
        self.method = ComboBox(choices=list(registry.names("normaliser")), label="Method")
        self.strength = SpinBox(value=100, min=0, max=100, label="Strength")
        self._words = Label(value="%")
        self.region = PushButton(text="Match to region")
        self.file = PushButton(text="Match to file…")
        self.undo = PushButton(text="Undo match")
        self.method.tooltip = "How the reference's stain is measured and given to the result"
        self.strength.tooltip = (
            "How far: 0 is the image as sampled, 100 all of the reference's stain"
        )
        self.region.tooltip = "The reference is the image under the rectangle of a Shapes layer"
        self.file.tooltip = "The reference is an 8-bit RGB image file"
        self.undo.tooltip = "The image as it was sampled"
        box = column_in(self)
        box.addWidget(form(("Method", [self.method, self.strength, self._words, self.undo])))
        box.addWidget(side_by_side(self.region, self.file))
        self.region.changed.connect(lambda: self.match_region())
        self.file.changed.connect(lambda: self._ask())
        self.undo.changed.connect(lambda: self.restore())

    @property
    def busy(self) -> bool:
        """Whether a result is being matched."""
        return self._work.busy

    def let_go(self) -> None:
        """Ends the background work, because the dock is being destroyed."""
        self._work.close()

    def match_region(self) -> None:
        """Matches the chosen result to the pixels under the chosen rectangle."""
        try:
            words, read = region_pixels(self.viewer)
        except ValueError as error:
            show_warning(str(error))
            return
        method, strength = str(self.method.value), self.strength.value / 100
        self._match(lambda: match_to(method, read(), words, strength))

    def match_file(self, path: Path) -> None:
        """Matches the chosen result to an image file."""
        method, strength = str(self.method.value), self.strength.value / 100
        self._match(lambda: match_to_file(method, path, strength))

    def _ask(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "An image of the wanted stain")
        if path:
            self.match_file(Path(path))

    def _match(self, fit: Callable[[], StainMatch]) -> None:
        name = self._picker.name
        layers = results.groups(self.viewer).get(name, {})
        image = layers.get("image")
        if image is None or image.metadata[KEY].get("unfinished"):
            show_warning("no finished result: synthesise one, or open a training stack")
            return
        # Always from the image as sampled, so that a second match replaces the first.
        pixels = np.asarray(image.metadata.get(UNMATCHED, image.data))
        seen = image.data

        def work() -> tuple[StainMatch, npt.NDArray[np.uint8]]:
            match = fit()
            if pixels.ndim == 4:
                return match, np.stack([match(sample) for sample in pixels])
            return match, match(pixels)

        def show(found: tuple[StainMatch, npt.NDArray[np.uint8]]) -> None:
            match, matched = found
            if image not in self.viewer.layers or image.data is not seen:
                show_warning(f"{name}: it changed meanwhile: press again")
                return
            image.metadata.setdefault(UNMATCHED, pixels)
            image.data = matched
            results.change_recipes(layers, lambda recipe: {**recipe, RECIPE_KEY: match.recipe})
            how = f"{match.method}, {match.strength:.0%}"
            show_info(f"{name}: stain matched to {match.reference} ({how})")

        self._work.do(work, show)

    def restore(self) -> None:
        """Restores the chosen result's image as it was sampled."""
        layers = results.groups(self.viewer).get(self._picker.name, {})
        if "image" not in layers or UNMATCHED not in layers["image"].metadata:
            show_warning("this result's stain was not matched")
            return
        layers["image"].data = np.array(layers["image"].metadata.pop(UNMATCHED))
        results.change_recipes(
            layers, lambda recipe: {k: v for k, v in recipe.items() if k != RECIPE_KEY}
        )
