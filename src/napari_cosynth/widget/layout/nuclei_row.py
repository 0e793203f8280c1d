"""The dock's buttons that make a layout of real nuclei, from an image, a file or a data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from magicgui.widgets import PushButton
from napari.components import ViewerModel
from napari.utils.notifications import show_info, show_warning
from qtpy.QtWidgets import QFileDialog

from napari_cosynth import registry
from napari_cosynth.io.errors import one_line
from napari_cosynth.layouts.sources.detect import detect_nuclei
from napari_cosynth.layouts.sources.nuclei import Nuclei, layout_on
from napari_cosynth.layouts.sources.read import read_nuclei
from napari_cosynth.records.base import Dataset
from napari_cosynth.types import ClassTable, Layout, Record
from napari_cosynth.widget.layers.placement import Placement, free_placement
from napari_cosynth.widget.layers.region import (
    AskMpp,
    image_region,
    is_slide,
    put_away_region,
    sampling_of,
    slide_pixels,
)
from napari_cosynth.widget.layout.class_dialog import ask_classes
from napari_cosynth.widget.layout.dataset_dialog import ask_dataset, ask_tile
from napari_cosynth.widget.qt.errors import told
from napari_cosynth.widget.qt.questions import window
from napari_cosynth.widget.run.background import Background
from napari_cosynth.widget.run.facts import CheckpointFacts

FILES = "Nuclei (*.geojson *.geojson.gz *.json *.mat *.csv *.tif *.tiff *.png *.npy)"
UNSPECIFIED = "unspecified"
"""Class of detected nuclei if the model has it; else the user is asked."""


class NucleiRow:
    """Three buttons, and the one worker that they share."""

    def __init__(
        self,
        viewer: ViewerModel,
        require_facts: Callable[[], CheckpointFacts],
        add_layout: Callable[[Placement, Layout], Any],
        ask_mpp: AskMpp,
        ask_class: Callable[[list[str]], str | None],
    ) -> None:
        self.viewer = viewer
        self.find = PushButton(text="Image")
        self.open = PushButton(text="File…")
        self.tile = PushButton(text="Data set…")
        self.buttons = (self.find, self.open, self.tile)
        self.find.tooltip = (
            "Find the nuclei in the rectangle of a Shapes layer, or in the whole image"
        )
        self.open.tooltip = (
            "Nuclei that another program found (QuPath, HoVer-Net, CellViT, labels, points), in the "
            "rectangle or on the whole image"
        )
        self.tile.tooltip = "A real tile of an annotated data set with its nuclei"
        self._facts, self._add = require_facts, add_layout
        self._ask_mpp, self._ask_class = ask_mpp, ask_class
        self._work = Background("nuclei")
        self.find.changed.connect(told(self.from_image))
        self.open.changed.connect(told(self.from_chosen_file))
        self.tile.changed.connect(told(self.from_chosen_data_set))

    @property
    def busy(self) -> bool:
        """Whether the worker is computing."""
        return self._work.busy

    def close(self) -> None:
        """Drops the running work, because the dock is being destroyed."""
        self._work.close()

    def from_image(self) -> None:
        """Adds a layout of the nuclei that the built-in detector finds in the image."""
        facts = self._facts()
        found = image_region(self.viewer, facts.mpp, self._ask_mpp)
        if found is None:
            return
        image, placement = found
        name = UNSPECIFIED
        if name not in facts.classes.names:
            answer = self._ask_class(list(facts.classes.names[1:]))
            if answer is None:
                return
            name = answer
        read = slide_pixels(image, placement)

        def work() -> Layout:
            points = detect_nuclei(read(), placement.mpp)
            points = points[placement.inside(points)]
            ids = np.full(len(points), facts.classes.index(name), np.uint8)
            return Layout(points, ids, placement.shape, placement.mpp, facts.classes)

        def done(layout: Layout) -> None:
            put_away_region(self.viewer)
            self._add(placement, layout)
            show_info(f"{image.name}: {len(layout):,} nuclei found")

        self._start(work, done, f"finding the nuclei of {image.name}")

    def from_chosen_file(self) -> None:
        """:meth:`from_file` with a file that the user chooses."""
        path, _ = QFileDialog.getOpenFileName(window(), "Nuclei of another program", "", FILES)
        if path:
            self.from_file(Path(path))

    def from_file(self, path: Path) -> None:
        """Adds a layout of a file's nuclei on the image; without an image, on a canvas of its own."""
        facts = self._facts()
        self._start(
            lambda: read_nuclei(path),
            lambda nuclei: self._place(nuclei, facts.classes, facts.mpp),
            f"reading {path.name}",
        )

    def _place(self, nuclei: Nuclei, classes: ClassTable, mpp: float) -> None:
        found = image_region(self.viewer, mpp, self._ask_mpp) if self._has_image() else None
        if found is None and self._has_image():
            return  # the user did not enter the µm/px
        name = Path(nuclei.source).name
        mapping = ask_classes(nuclei.class_names, classes, name)
        if mapping is None:
            return
        if found is not None:
            image, placement = found
            origin, step = sampling_of(image, placement)
        else:
            own = nuclei.mpp or self._ask_mpp(name)
            if own is None:
                return
            step, shape = mpp / own, nuclei.extent
            origin = ((step - 1) / 2, (step - 1) / 2)
            size = (max(1, round(shape[0] / step)), max(1, round(shape[1] / step)))
            placement = free_placement(size, mpp, self.viewer.layers)
        layout, notes = layout_on(
            nuclei, classes, mapping, placement.shape, placement.mpp, origin, step
        )
        self._add(placement, layout)
        show_info("; ".join([f"{name}: {len(layout):,} nuclei", *notes, *nuclei.notes]))

    def from_chosen_data_set(self) -> None:
        """Adds the image of a tile that the user chooses from a data set, and a layout of its nuclei."""
        self._facts()
        if (chosen := ask_dataset()) is None:
            return
        kind, folder = chosen

        def choose(dataset: Dataset) -> None:
            name = ask_tile(dataset)
            if name is not None:
                index = dataset.names.index(name)
                self._start(
                    lambda: dataset[index],
                    lambda record: self._show(name, record),
                    f"reading {name}",
                )

        reader = registry.resolve("dataset", kind)
        self._start(lambda: reader(folder), choose, f"opening {folder.name}")

    def _show(self, name: str, record: Record) -> None:
        facts, layout = self._facts(), record.layout
        mapping = ask_classes(
            [layout.classes.names[i] for i in layout.class_ids], facts.classes, name
        )
        if mapping is None:
            return
        nuclei = Nuclei(
            layout.centroids.astype(np.float64),
            tuple(layout.classes.names[i] for i in layout.class_ids),
            record.source,
        )
        placement = free_placement(layout.shape, record.mpp, self.viewer.layers)
        made, notes = layout_on(nuclei, facts.classes, mapping, layout.shape, record.mpp)
        made = made.scaled_to(facts.mpp)
        self.viewer.add_image(
            np.asarray(record.image),
            name=name,
            rgb=True,
            metadata={"mpp": record.mpp},
            **placement.layer_kwargs,
        )
        self._add(placement.at_mpp(facts.mpp, made.shape), made)
        show_info("; ".join([f"{name}: {len(made):,} nuclei", *notes]))

    def _has_image(self) -> bool:
        return any(is_slide(layer) for layer in self.viewer.layers)

    def _start(self, work: Callable[[], Any], done: Callable[[Any], None], what: str) -> None:
        if self._work.busy:
            raise ValueError("the last one is still being computed")

        def finish(result: Any) -> None:
            self._enable(True)
            told(lambda: done(result))()

        def refuse(error: Exception) -> None:
            self._enable(True)
            show_warning(one_line(error))

        self._enable(False)
        show_info(f"{what} …")
        self._work.do(work, finish, refuse)

    def _enable(self, enabled: bool) -> None:
        for button in self.buttons:
            button.enabled = enabled
