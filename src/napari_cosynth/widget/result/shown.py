"""A result in a viewer, by its name: reads records from its layers and puts records into them."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.components import ViewerModel
from napari.layers import Labels, Layer, Points
from napari.layers.base import ActionType

from napari_cosynth.geometry.measure import majority_classes
from napari_cosynth.types import Record
from napari_cosynth.widget.layers.layout import (
    class_column,
    is_layout,
    no_notes,
    set_features,
    show_marks,
)
from napari_cosynth.widget.layers.record_layers import record_layers
from napari_cosynth.widget.layers.results import AGREED_KEY, groups, instance_colors
from napari_cosynth.widget.layers.slide_layers import LayerTuple
from napari_cosynth.widget.layers.tags import read_tag, unwrapped
from napari_cosynth.widget.result.result_view import insert_unselected
from napari_cosynth.widget.result.saving import Group, drawn_record, groups_of


class ShownResult:
    """The result called ``name``; its layers are looked up at each call."""

    def __init__(self, viewer: ViewerModel, name: str) -> None:
        self.viewer = viewer
        self.name = name

    @property
    def layers(self) -> dict[str, Layer]:
        """Role -> layer. Raises ValueError if there is no such result."""
        found = groups(self.viewer).get(self.name)
        if not found:
            raise ValueError("no result: synthesise one, or open a training stack")
        return found

    @property
    def own_layout(self) -> Points | None:
        """The layout that belongs to this result alone; None if it has none."""
        for layer in self.viewer.layers:
            tag = read_tag(layer.metadata)
            if is_points(layer) and tag is not None and tag.result == self.name:
                return layer
        return None

    def tuples(self, points: Layer | None = None) -> list[LayerTuple]:
        """Layer tuples of the result, and of ``points`` if given, as napari passes them to writers."""
        layers = [*self.layers.values(), *([] if points is None else [points])]
        return [layer.as_layer_data_tuple() for layer in layers]

    def group(self, points: Layer | None = None) -> Group:
        """The result's layers as a group to save. Raises ValueError if it is incomplete."""
        (group,) = groups_of(self.tuples(points))
        return group

    @property
    def sample(self) -> int:
        """Number of the stack's sample that the viewer's slider shows; 0 if there is no stack."""
        labels = self.layers["labels"]
        if labels.ndim == 2:
            return 0
        at = round(labels.world_to_data(self.viewer.dims.point)[0])
        return int(np.clip(at, 0, len(labels.data) - 1))

    def show_sample(self, sample: int) -> None:
        """Moves the viewer's slider to one of a stack's samples."""
        labels = self.layers["labels"]
        if labels.ndim == 3:
            self.viewer.dims.set_point(0, labels.data_to_world((sample, 0, 0))[0])

    def agreed(self, sample: int) -> Record:
        """One sample's arrays from its current layers, with the points that its instance ids refer to.

        The instances were separated from these points, or the points are their centroids. A nucleus that
        was painted later has no point yet.
        """
        group = self.group()
        drawn = drawn_record(group, sample)
        last = group.agreed(sample)
        return drawn if last is None else dataclasses.replace(drawn, layout=last.layout)

    def show(self, record: Record, sample: int) -> None:
        """Puts a record's labels, instances and distance, which fit its layout, into the layers."""
        layers = self.layers
        for role in ("labels", "instances", "distance"):
            if role not in layers:
                continue
            layer = layers[role]
            _put(layer, getattr(record, role), sample, stacked=layer.data.ndim == 3)
        instances = layers["instances"]
        known = dict(layers["labels"].metadata.get(AGREED_KEY, {}))
        layers["labels"].metadata[AGREED_KEY] = {**known, sample: record}
        if isinstance(instances, Labels) and instances.data.ndim == 2:
            ids = majority_classes(record.instances, record.labels, len(record.classes))
            names = [record.classes.names[i] for i in (0, *ids)]
            instances.features = pd.DataFrame({"index": np.arange(len(names)), "class": names})
            instances.colormap = instance_colors(ids, record.classes)

    def show_image(self, pixels: npt.NDArray[np.uint8], sample: int) -> None:
        """Puts another image (H, W, 3) into its layer."""
        layer = self.layers["image"]
        _put(layer, pixels, sample, stacked=layer.data.ndim == 4)

    def show_layout(self, record: Record, sample: int) -> None:
        """Shows a record's layout in the result's own Points layer, which is added if there is none.

        The drawn layout stays as it is, because other results were made from it.
        """
        own, labels = self.own_layout, self.layers["labels"]
        points = np.asarray(record.layout.centroids, np.float64)
        names = np.array(record.classes.names, object)[record.layout.class_ids]
        stacked = labels.ndim == 3
        if stacked:
            points = np.insert(points, 0, sample, axis=1)
        if own is None:
            _, kwargs, _ = record_layers((record,), [{}], self.name)[-1]
            kwargs.update({k: getattr(labels, k) for k in ("scale", "translate", "units")})
            del kwargs["axis_labels"]
            layer = Points(points, ndim=labels.ndim, **kwargs)
            # Not selected: the dock would then work on it instead of the drawn layout.
            insert_unselected(self.viewer, len(self.viewer.layers), layer)
            return
        if stacked:
            others = np.round(own.data[:, 0]).astype(int) != sample
            points = np.concatenate([own.data[others], points])
            names = np.concatenate([np.asarray(own.features["class"], object)[others], names])
        # One edit: listeners, above all the history, get one event once points and features are new.
        with own.events.data.blocker():
            own.selected_data = set()
            own.data = points
            # The notes of the last separation do not apply to these points.
            fresh = {"class": class_column(names, record.classes), "note": no_notes(len(points))}
            set_features(own, own.features.assign(**fresh))
        own.refresh_colors()
        if is_layout(own):
            show_marks(own)
        own.events.data(
            value=own.data,
            action=ActionType.CHANGED,
            data_indices=tuple(range(len(points))),
            vertex_indices=((),),
        )


def _put(layer: Layer, data: npt.NDArray[Any], sample: int, stacked: bool) -> None:
    """Puts one sample's array into a layer; for labels as an edit that napari's own undo can take back.

    napari's undo holds the old values of pixels. If the array were simply replaced, Ctrl+Z would write
    outdated ids of nuclei into it.
    """
    if isinstance(layer, Labels):
        now = layer.data[sample] if stacked else layer.data
        changed = np.nonzero(now != data)
        at = (np.full(len(changed[0]), sample), *changed) if stacked else changed
        fresh = data[changed].astype(layer.data.dtype)
        # Not data_setitem: it also paints the view, and a hidden layer has none.
        unwrapped(layer)._save_history((at, layer.data[at], fresh))
        layer.data[at] = fresh
        layer.refresh()
    elif stacked:
        joint = layer.data.copy()
        joint[sample] = data
        layer.data = joint
    else:
        layer.data = data.copy()


def is_points(layer: Layer) -> TypeGuard[Points]:
    """Whether a layer is the layout of a result, or a drawn one."""
    tag = read_tag(layer.metadata)
    return isinstance(layer, Points) and tag is not None and tag.role == "layout"
