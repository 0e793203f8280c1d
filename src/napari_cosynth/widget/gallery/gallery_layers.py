"""The gallery's sample in the viewer: one set of layers, used again for the next sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer

from napari_cosynth.export.stack import Described
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.drawing_tools import build_when_used
from napari_cosynth.widget.layers.layout import SAMPLE_KEY
from napari_cosynth.widget.layers.placement import Placement
from napari_cosynth.widget.layers.record_layers import record_layers
from napari_cosynth.widget.result.result_view import insert_below_points
from napari_cosynth.widget.result.saving import Group


class Shown:
    """Shows one sample after another in the same layers. Edited layers are left to the user."""

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self._group = ""
        """Group whose layers the next sample may use; empty if there is none."""

    def take(self, group: str) -> None:
        """Lets the next sample use this group's layers; removes the earlier group's unless edited."""
        layers = results.groups(self.viewer).get(self._group)
        if layers and self._group != group and not touched(layers):
            results.discard(self.viewer, self._group)
        self._group = group

    def show(self, group: str) -> bool:
        """Shows the layers of a group; False if they are not in the viewer."""
        if not results.groups(self.viewer).get(group, {}).keys() >= set(results.ROLES):
            return False
        results.show_only(self.viewer, group)
        return True

    def fill(self, sample: Described, placement: Placement, group: str) -> None:
        """Shows a sample that was read, in the layers of the one before if their shapes fit."""
        if self.show(group):
            return  # a second click has already shown it
        made = {
            kwargs["metadata"]["cosynth"]["role"]: (
                data,
                {**kwargs, **placement.layer_kwargs},
                kind,
            )
            for data, kwargs, kind in record_layers((sample.record,), [sample.description], group)
        }
        layers = results.groups(self.viewer).get(self._group, {})
        fits = layers.keys() >= set(results.ROLES) and all(
            layers[role].data.shape == made[role][0].shape for role in results.ROLES
        )
        if fits and not touched(layers):
            for role in results.ROLES:
                _refill(layers[role], *made[role][:2])
        else:
            self.take(group)
            for role in results.ROLES:
                data, kwargs, kind = made[role]
                layer = Layer.create(data, {**kwargs, "visible": False}, kind)
                if isinstance(layer, Labels):
                    build_when_used(layer)
                    if role == "instances":
                        layer.contour, layer.opacity = 1, 0.9
                insert_below_points(self.viewer, layer)
        self._group = group
        results.show_only(self.viewer, group)


def _refill(layer: Layer, data: Any, kwargs: dict[str, Any]) -> None:
    layer.visible = False  # napari does not draw a hidden layer again at each change
    layer.name = kwargs["name"]
    for key in (SAMPLE_KEY, results.AGREED_KEY):  # they belong to the earlier sample
        layer.metadata.pop(key, None)
    layer.metadata.update(kwargs["metadata"])
    for name in ("features", "colormap"):
        if name in kwargs:
            setattr(layer, name, kwargs[name])
    layer.data = data
    layer.scale, layer.translate = kwargs["scale"], kwargs["translate"]
    layer.units = kwargs["units"]


def touched(layers: dict[str, Layer]) -> bool:
    """Whether a result's layers differ from the sample as it was made: painted, or stained anew."""
    labels = layers.get("labels")
    if labels is None:
        return True
    raw = Group("", {"labels": labels.as_layer_data_tuple()}).raw()
    return raw is None or not all(
        np.array_equal(layers[role].data, getattr(raw, role)) for role in layers
    )
