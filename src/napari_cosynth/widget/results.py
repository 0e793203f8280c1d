"""A :class:`Synthesis` -> layers: image, semantic labels, instances and distance, as one group.

Every result layer's ``metadata["cosynth"]`` is its tag (:mod:`.tags`) with the sample's full recipe;
``metadata["cosynth_sample"]`` is the sample itself, so that what was made stays recoverable whatever
is edited.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from napari.utils import DirectLabelColormap

from napari_cosynth.geometry.measure import majority_classes
from napari_cosynth.types import ClassTable, Synthesis
from napari_cosynth.widget.layers import SAMPLE_KEY, rgba
from napari_cosynth.widget.placement import Placement
from napari_cosynth.widget.tags import Tag, read_tag

ROLES = ("image", "labels", "instances", "distance")
SEPARATOR = " · "


def label_colors(classes: ClassTable) -> DirectLabelColormap:
    """The classes' colours for semantic labels; the background is transparent."""
    table: dict[int | None, Any] = dict(enumerate(rgba(classes)))
    table[0] = table[None] = np.zeros(4)
    return DirectLabelColormap(color_dict=table)


def instance_colors(
    class_ids: npt.NDArray[np.integer[Any]], classes: ClassTable
) -> DirectLabelColormap:
    """A colour per instance: its class', brightened or darkened so that neighbours differ.

    ``class_ids`` (N,) of instances 1..N.
    """
    shade = np.array([1.0, 0.72, 1.25, 0.86])[np.arange(len(class_ids)) % 4]
    colors = rgba(classes)[class_ids]
    colors[:, :3] = np.clip(colors[:, :3] * shade[:, None], 0, 1)
    table: dict[int | None, Any] = {i + 1: color for i, color in enumerate(colors)}
    table[0] = table[None] = np.zeros(4)
    return DirectLabelColormap(color_dict=table)


def class_features(classes: ClassTable) -> pd.DataFrame:
    """One row per semantic label: ``index`` and ``class``."""
    return pd.DataFrame({"index": np.arange(len(classes)), "class": list(classes.names)})


def instance_features(sample: Synthesis) -> pd.DataFrame:
    """One row per instance id, the background's first: ``index``, ``class`` and ``note``."""
    record, report = sample.record, sample.report
    ids = majority_classes(record.instances, record.labels, len(record.classes))
    notes = np.full(len(ids) + 1, "", object)
    for note in ("flagged", "merged", "spurious"):
        rows = np.array(getattr(report, note), np.int64)
        notes[rows[rows < len(notes)]] = note
    names = np.array(record.classes.names, object)[np.concatenate([[0], ids])]
    return pd.DataFrame({"index": np.arange(len(ids) + 1), "class": names, "note": notes})


def result_layers(sample: Synthesis, placement: Placement, group: str) -> list[Layer]:
    """The four layers of a sample, bottom first; not yet in any viewer."""
    record = sample.record
    classes = record.classes
    features = instance_features(sample)
    ids = np.array([classes.names.index(name) for name in features["class"][1:]], np.int64)

    def common(role: str) -> dict[str, Any]:
        return {
            "name": f"{group}{SEPARATOR}{role}",
            "metadata": _metadata(sample, group, role),
            **placement.layer_kwargs,
        }

    instances = Labels(
        record.instances.copy(),
        features=features,
        colormap=instance_colors(ids, classes),
        opacity=0.9,
        **common("instances"),
    )
    instances.contour = 1
    return [
        Image(record.image.copy(), rgb=True, **common("image")),
        Image(
            record.distance.copy(),
            colormap="magma",
            contrast_limits=(0, 1),
            visible=False,
            **common("distance"),
        ),
        Labels(
            record.labels.copy(),
            features=class_features(classes),
            colormap=label_colors(classes),
            opacity=0.5,
            visible=False,
            **common("labels"),
        ),
        instances,
    ]


def _metadata(sample: Synthesis, group: str, role: str) -> dict[str, Any]:
    record = sample.record
    tag = Tag(
        role, group, record.classes, record.mpp, record.tissue, record.stain, (sample.recipe,)
    )
    return {**tag.metadata(), SAMPLE_KEY: sample}


def update_layers(layers: dict[str, Layer], sample: Synthesis, group: str) -> None:
    """Shows another sample in a group's layers, for a live result: no layer is made anew."""
    record = sample.record
    features = instance_features(sample)
    ids = np.array([record.classes.names.index(n) for n in features["class"][1:]], np.int64)
    for role, data in (
        ("image", record.image),
        ("distance", record.distance),
        ("labels", record.labels),
        ("instances", record.instances),
    ):
        layer = layers.get(role)
        if layer is None:
            continue
        if role == "instances":
            layer.features = features
            layer.colormap = instance_colors(ids, record.classes)
        layer.data = data.copy()
        layer.metadata.update(_metadata(sample, group, role))


def groups(viewer: ViewerModel) -> dict[str, dict[str, Layer]]:
    """The results in a viewer: group -> role -> layer, oldest first."""
    found: dict[str, dict[str, Layer]] = {}
    for layer in viewer.layers:
        tag = read_tag(layer.metadata)
        if tag is not None and tag.role in ROLES:
            found.setdefault(tag.result, {})[tag.role] = layer
    return found


def free_name(viewer: ViewerModel, wanted: str) -> str:
    """``wanted``, or with a number where a group of that name exists."""
    taken, name, number = groups(viewer), wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted} ({number})"
    return name


def hide_all(viewer: ViewerModel) -> None:
    """Hides every result, so that the next one is seen."""
    for layers in groups(viewer).values():
        for layer in layers.values():
            layer.visible = False


def show_only(viewer: ViewerModel, group: str) -> None:
    """Shows one result's image and outlines and hides the other results."""
    for name, layers in groups(viewer).items():
        for role, layer in layers.items():
            layer.visible = name == group and role in ("image", "instances")


def discard(viewer: ViewerModel, group: str) -> None:
    """Removes one result's layers."""
    for layer in groups(viewer).get(group, {}).values():
        viewer.layers.remove(layer)
