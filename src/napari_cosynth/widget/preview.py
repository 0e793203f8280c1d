"""What a run shows while it samples: two layers that go when it ends."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer

from napari_cosynth.types import ClassTable, Progress
from napari_cosynth.widget.placement import Placement
from napari_cosynth.widget.results import label_colors


class Preview:
    """The clean estimate of the running sample, image and labels."""

    def __init__(self, viewer: ViewerModel, placement: Placement, classes: ClassTable) -> None:
        self.viewer = viewer
        self.placement = placement
        self.classes = classes
        self._layers: dict[str, Layer] = {}
        self._removed = False

    def show(self, progress: Progress) -> None:
        """Shows a progress that carries pictures; if the user removed the preview, nothing more."""
        if progress.image is None or progress.labels is None or self._removed:
            return
        if not self._layers:
            self._add(progress.image, progress.labels)
        elif any(layer not in self.viewer.layers for layer in self._layers.values()):
            self._removed = True
        else:
            self._layers["image"].data = progress.image
            self._layers["labels"].data = progress.labels

    def close(self) -> None:
        """Removes what is left of it."""
        for layer in self._layers.values():
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
        self._layers.clear()

    def _add(self, image: Any, labels: Any) -> None:
        kwargs = self.placement.layer_kwargs
        self._layers = {
            "image": Image(image, rgb=True, name="preview · image", **kwargs),
            "labels": Labels(
                labels,
                name="preview · labels",
                colormap=label_colors(self.classes),
                opacity=0.35,
                **kwargs,
            ),
        }
        insert_below_points(self.viewer, list(self._layers.values()))


def insert_below_points(viewer: ViewerModel, layers: list[Layer]) -> None:
    """Adds layers, bottom first, under the topmost Points layers; the active layer stays active."""
    active = viewer.layers.selection.active
    index = len(viewer.layers)
    while index > 0 and viewer.layers[index - 1]._type_string in ("points", "shapes"):
        index -= 1
    for offset, layer in enumerate(layers):
        viewer.layers.insert(index + offset, layer)
    if active is not None and active in viewer.layers:
        viewer.layers.selection.active = active
