"""A :class:`Synthesis` -> layers: image, semantic labels, instances and distance, as one group.

Every result layer's ``metadata["cosynth"]`` is its tag (:mod:`.tags`) with the sample's full recipe.
``metadata["cosynth_sample"]`` is the sample itself, so that the original can be restored after any edit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from napari.utils import DirectLabelColormap

from napari_cosynth.geometry.measure import majority_classes
from napari_cosynth.types import ClassTable, Synthesis
from napari_cosynth.widget.layers.appearance import rgba
from napari_cosynth.widget.layers.drawing_tools import build_when_used
from napari_cosynth.widget.layers.layout import SAMPLE_KEY
from napari_cosynth.widget.layers.placement import Placement
from napari_cosynth.widget.layers.tags import KEY, Tag, read_tag

ROLES = ("image", "labels", "instances", "distance")
AGREED_KEY = "cosynth_agreed"
"""``layer.metadata[AGREED_KEY]`` of edited labels: sample -> its record when labels, instances and points
last agreed."""
UNMATCHED = "cosynth_unmatched"
"""``layer.metadata[UNMATCHED]`` of an image with matched stain: its pixels before the matching."""
SEPARATOR = " · "


def group_name(layout: str, seed: int) -> str:
    """A result's name; short, because the names of its layers begin with it."""
    return f"{layout} #{seed}"


def label_colors(classes: ClassTable) -> DirectLabelColormap:
    """The classes' colours for semantic labels; the background is transparent."""
    table: dict[int | None, Any] = dict(enumerate(rgba(classes)))
    table[0] = table[None] = np.zeros(4)
    return DirectLabelColormap(color_dict=table)


def instance_colors(
    class_ids: npt.NDArray[np.integer[Any]], classes: ClassTable
) -> DirectLabelColormap:
    """A colour per instance: its class' colour, brightened or darkened so that neighbours differ.

    ``class_ids`` (N,) of instances 1..N.
    """
    shade = np.array([1.0, 0.72, 1.25, 0.86])[np.arange(len(class_ids)) % 4]
    colors = rgba(classes)[class_ids]
    colors[:, :3] = np.clip(colors[:, :3] * shade[:, None], 0, 1)
    table: dict[int | None, Any] = {i + 1: color for i, color in enumerate(colors)}
    table[0] = np.zeros(4)
    table[None] = np.ones(4)  # a nucleus painted later has no class yet, but must be visible
    return DirectLabelColormap(color_dict=table)


def class_features(classes: ClassTable) -> pd.DataFrame:
    """One row per semantic label: ``index`` and ``class``."""
    return pd.DataFrame({"index": np.arange(len(classes)), "class": list(classes.names)})


def instance_features(sample: Synthesis) -> pd.DataFrame:
    """One row per instance id, background first: ``index``, ``class`` and ``note``."""
    record, report = sample.record, sample.report
    ids = majority_classes(record.instances, record.labels, len(record.classes))
    notes = np.full(len(ids) + 1, "", object)
    for note in ("flagged", "merged", "spurious"):
        rows = np.array(getattr(report, note), np.int64)
        notes[rows[rows < len(notes)]] = note
    names = np.array(record.classes.names, object)[np.concatenate([[0], ids])]
    return pd.DataFrame({"index": np.arange(len(ids) + 1), "class": names, "note": notes})


def blank_layers(placement: Placement, classes: ClassTable, group: str) -> dict[str, Layer]:
    """Role -> empty layer of a result that is not sampled yet, bottom first; not yet in a viewer.

    napari takes far longer to add a layer than to give it new data, so the layers are added while the
    sampler runs. Instead of a tag they have ``unfinished``: they cannot be saved and do not count as an
    image of the user.
    """
    shape = placement.shape

    def common(role: str) -> dict[str, Any]:
        return {
            "name": f"{group}{SEPARATOR}{role}",
            "visible": False,
            "metadata": {KEY: {"unfinished": True}},
            **placement.layer_kwargs,
        }

    instances = Labels(np.zeros(shape, np.int32), opacity=0.9, **common("instances"))
    instances.contour = 1
    build_when_used(instances)
    return {
        "image": Image(np.zeros((*shape, 3), np.uint8), rgb=True, **common("image")),
        "distance": Image(
            np.zeros(shape, np.float32),
            colormap="magma",
            contrast_limits=(0, 1),
            **common("distance"),
        ),
        "labels": build_when_used(
            Labels(
                np.zeros(shape, np.uint8),
                features=class_features(classes),
                colormap=label_colors(classes),
                opacity=0.4,
                **common("labels"),
            )
        ),
        "instances": instances,
    }


def fill(layers: dict[str, Layer], sample: Synthesis, group: str) -> None:
    """Shows a sample in a group's layers and tags them with its recipe."""
    record = sample.record
    features = instance_features(sample)
    of_class = {name: i for i, name in enumerate(record.classes.names)}
    ids = features["class"].map(of_class).to_numpy()[1:]
    for role, data in (
        ("image", record.image),
        ("distance", record.distance),
        ("labels", record.labels),
        ("instances", record.instances),
    ):
        layer = layers[role]
        # A copy: the record is read-only and stays as it was sampled when the user paints.
        if role == "instances":
            assert isinstance(layer, Labels)
            # napari maps a visible layer's pixels at each change, a hidden layer's only when it is shown.
            seen = layer.visible
            show_layer(layer, False)
            if not features.equals(layer.features):
                layer.features = features
                layer.colormap = instance_colors(ids, record.classes)
            layer.data = data.copy()
            show_layer(layer, seen)
        else:
            layer.data = data.copy()
        layer.metadata.update(_metadata(sample, group, role))
    layers["image"].metadata.pop(UNMATCHED, None)  # the earlier sample's pixels


def show_estimate(layers: dict[str, Layer], image: npt.NDArray[np.uint8]) -> None:
    """Shows a clean estimate in a finished result's image; it cannot be saved until :func:`fill`."""
    layer = layers["image"]
    layer.metadata[KEY] = {**layer.metadata[KEY], "unfinished": True}
    layer.data = image


def _metadata(sample: Synthesis, group: str, role: str) -> dict[str, Any]:
    record = sample.record
    tag = Tag(
        role, group, record.classes, record.mpp, record.tissue, record.stain, (sample.recipe,)
    )
    return {**tag.metadata(), SAMPLE_KEY: sample, AGREED_KEY: {}}


def groups(viewer: ViewerModel) -> dict[str, dict[str, Layer]]:
    """The results in a viewer: group -> role -> layer, oldest first."""
    found: dict[str, dict[str, Layer]] = {}
    for layer in viewer.layers:
        tag = read_tag(layer.metadata)
        if tag is not None and tag.role in ROLES:
            found.setdefault(tag.result, {})[tag.role] = layer
    return found


def free_name(viewer: ViewerModel, wanted: str, others: Collection[str] = ()) -> str:
    """``wanted``, with a number added if the viewer or ``others`` has a group of that name.

    The names of layouts count as taken, too: a group's layout has the group's name.
    """
    tags = [read_tag(layer.metadata) for layer in viewer.layers]
    taken = {*others, *(tag.result for tag in tags if tag is not None)}
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted} ({number})"
    return name


def hide_all(viewer: ViewerModel) -> None:
    """Hides every result, so that the next one can be seen."""
    for layers in groups(viewer).values():
        for layer in layers.values():
            show_layer(layer, False)


def show_layer(layer: Layer, visible: bool) -> None:
    """Shows or hides a layer; does nothing if it is so already: napari would arrange all anew."""
    if layer.visible != visible:
        layer.visible = visible


def show_only(viewer: ViewerModel, group: str) -> None:
    """Shows one result's image and outlines and hides the other results."""
    for name, layers in groups(viewer).items():
        for role, layer in layers.items():
            show_layer(layer, name == group and role in ("image", "instances"))


def discard(viewer: ViewerModel, group: str) -> None:
    """Removes one result's layers and its own layout; a drawn layout of that name stays."""
    for layer in list(viewer.layers):
        tag = read_tag(layer.metadata)
        # Layers of a sampled or opened result have recipes; a drawn layout has none.
        if tag is not None and tag.result == group and tag.recipes:
            viewer.layers.remove(layer)


def copied(layer: Layer) -> Layer:
    """A second layer with the same data, to add after the first is removed; pixels are not copied."""
    other = Layer.create(*layer.as_layer_data_tuple())
    if isinstance(layer, Labels) and isinstance(other, Labels):
        other.contour = layer.contour
    return other


def change_recipes(
    layers: Mapping[str, Layer],
    change: Callable[[dict[str, Any]], dict[str, Any]],
    sample: int | None = None,
) -> None:
    """Changes the recipes in all layers of a result, because any of them may be the one that is saved.

    ``sample``: change only this sample's recipe; None: change all. A sample without a recipe stays
    without one.
    """
    for layer in layers.values():
        tag = layer.metadata[KEY]
        recipes = [
            change(dict(recipe)) if sample in (None, index) else dict(recipe)
            for index, recipe in enumerate(tag["recipes"])
        ]
        layer.metadata[KEY] = {**tag, "recipes": recipes}
