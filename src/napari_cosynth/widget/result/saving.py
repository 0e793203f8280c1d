"""Layers of results -> records with descriptions; checks before saving that the layers agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.export.stack import Described, append_stack
from napari_cosynth.geometry.edits import edit_between
from napari_cosynth.geometry.measure import layout_of, majority_classes
from napari_cosynth.geometry.raster import distance_map, pixels
from napari_cosynth.io.stack_format import DESCRIPTION
from napari_cosynth.types import Layout, Record, Synthesis
from napari_cosynth.widget.layers.layout import SAMPLE_KEY
from napari_cosynth.widget.layers.record_layers import RAW_KEY
from napari_cosynth.widget.layers.results import AGREED_KEY, ROLES
from napari_cosynth.widget.layers.slide_layers import LayerTuple
from napari_cosynth.widget.layers.tags import KEY, Tag, read_tag

NEEDED = ("image", "labels", "instances")
"""Roles that a training stack needs; distance and layout can be made from the instances."""


@dataclass
class Group:
    """The layers of one result, or of one stack of samples."""

    name: str
    layers: dict[str, LayerTuple] = field(default_factory=dict)
    """Role -> layer tuple, with ``layout`` if there is one."""

    def data(self, role: str) -> npt.NDArray[Any]:
        return np.asarray(self.layers[role][0])

    @property
    def tag(self) -> Tag:
        """The tag of the semantic labels."""
        tag = _tag(self.layers["labels"])
        assert tag is not None  # groups_of chose the layer by its tag
        return tag

    @property
    def samples(self) -> int | None:
        """Number of samples along the first axis; None if there is no such axis."""
        labels = self.data("labels")
        return len(labels) if labels.ndim == 3 else None

    def raw(self, sample: int = 0) -> Record | None:
        """The record as it was made or read, before any edit; None if it is not known."""
        metadata = self.layers["labels"][1].get("metadata", {})
        if isinstance(made := metadata.get(SAMPLE_KEY), Synthesis):
            return made.record
        read = metadata.get(RAW_KEY, ())
        return read[sample] if sample < len(read) else None

    def agreed(self, sample: int = 0) -> Record | None:
        """The last record whose parts agreed: that of Re-separate or Update, else :meth:`raw`."""
        metadata = self.layers["labels"][1].get("metadata", {})
        last = metadata.get(AGREED_KEY, {}).get(sample)
        return last if isinstance(last, Record) else self.raw(sample)


def _tag(layer: LayerTuple) -> Tag | None:
    return read_tag(layer[1].get("metadata", {}))


def groups_of(layers: Sequence[LayerTuple]) -> list[Group]:
    """The results among some layers, in their order; other layers are left out.

    A layout that belongs to no result counts for every result, because several seeds share it. Raises
    ValueError in one line if there is no result, or one lacks an image, labels or instances.
    """
    found: dict[str, Group] = {}
    layouts: list[tuple[str, LayerTuple]] = []
    for layer in layers:
        tag = _tag(layer)
        if tag is None:
            continue
        if tag.role == "layout":
            layouts.append((tag.result, layer))
            continue
        if layer[1]["metadata"][KEY].get("unfinished"):
            raise ValueError(f"{tag.result}: it is being sampled; save it when it is finished")
        group = found.setdefault(tag.result, Group(tag.result))
        if tag.role in group.layers:
            raise ValueError(f"{group.name}: two layers of {tag.role}; select one of them")
        group.layers[tag.role] = layer
    if not found:
        raise ValueError(
            "no result among these layers: a training stack needs the image, labels and instances "
            "that CoSynth made or read"
        )
    for group in found.values():
        missing = [role for role in NEEDED if role not in group.layers]
        if missing:
            raise ValueError(
                f"{group.name}: no {' and no '.join(missing)} layer; select all layers of the result"
            )
        own = [layer for result, layer in layouts if result == group.name]
        shared = [layer for result, layer in layouts if result not in found]
        if chosen := own or shared:
            if len(chosen) > 1:
                raise ValueError(f"{group.name}: {len(chosen)} layouts; select the one it is of")
            group.layers["layout"] = chosen[0]
    return list(found.values())


def described_samples(layers: Sequence[LayerTuple]) -> list[Described]:
    """Every sample of every result among some layers, checked, with its recipe.

    Raises ValueError in one line, naming result and layer, if a layer is missing, shapes differ, or
    labels, instances and points disagree.
    """
    found = []
    for group in groups_of(layers):
        for sample in range(group.samples or 1):
            found.append(described_sample(group, sample))
    return found


def save_layers(path: Path, layers: Sequence[LayerTuple]) -> Path:
    """Saves the results among some layers as a training stack, or appends them to one.

    ``path``: the stack's folder, new or existing, or the ``cosynth.json`` inside it. Returns the
    folder. Raises ValueError in one line, and writes nothing, if it cannot.
    """
    return append_stack(described_samples(layers), stack_folder(path))


def stack_folder(path: Path) -> Path:
    """The stack's folder from its own path or that of its ``cosynth.json``.

    Raises ValueError if the path is another file.
    """
    folder = path.parent if path.name == DESCRIPTION else path
    if folder.is_file() or folder.suffix == ".json":
        raise ValueError(
            f"{folder}: a training stack is a folder; name a new one, or the {DESCRIPTION} in one"
        )
    return folder


def described_sample(group: Group, sample: int = 0) -> Described:
    """One sample of a result, checked; see :func:`described_samples`."""
    record = record_of(group, sample)
    where = record.source
    differ = int(np.count_nonzero((record.labels > 0) != (record.instances > 0)))
    if differ:
        raise ValueError(
            f"{where}: labels and instances disagree in {differ} pixels: press Update from instances"
        )
    if record.labels.max(initial=0) >= len(record.classes):
        raise ValueError(
            f"{where}: labels reach {record.labels.max()}, known are 1..{len(record.classes) - 1}"
        )
    raw = group.raw(sample)
    if raw is None or not _same_instances(raw, record):
        _require_points_in_their_instances(record)
    return Described(record, _description(group, record, sample))


def _same_instances(raw: Record, record: Record) -> bool:
    """Whether both have the same instances and points; classes may differ."""
    points = raw.layout.centroids, record.layout.centroids
    return np.array_equal(raw.instances, record.instances) and (
        points[0].shape == points[1].shape and np.allclose(points[0], points[1], atol=1e-3)
    )


def _require_points_in_their_instances(record: Record) -> None:
    at = pixels(record.layout)
    ids = record.instances[at[:, 0], at[:, 1]]
    wrong = np.flatnonzero((ids > 0) & (ids != np.arange(1, len(ids) + 1)))
    if wrong.size:
        raise ValueError(
            f"{record.source}: point {wrong[0]} lies in instance {ids[wrong[0]]}, not "
            f"{wrong[0] + 1}: press Re-separate or Update from instances"
        )


def record_of(group: Group, sample: int = 0) -> Record:
    """One sample from its current layers, whether or not they agree.

    Raises ValueError if shapes differ or values do not fit.
    """
    drawn = drawn_record(group, sample)
    return dataclasses.replace(drawn, layout=_layout(group, sample, drawn.labels, drawn.instances))


def drawn_record(group: Group, sample: int = 0) -> Record:
    """One sample's arrays from its current layers, without points; see :func:`record_of`."""
    where = group.name if group.samples is None else f"{group.name}: sample {sample}"
    shape = group.data("labels").shape
    for role in ROLES:
        if role in group.layers:
            found = group.data(role).shape
            if found[: len(shape)] != shape or len(found) != len(shape) + (role == "image"):
                raise ValueError(
                    f"{group.name}: {role}: its shape {found} does not fit the labels' {shape}"
                )

    def one(role: str) -> npt.NDArray[Any]:
        data = group.data(role)
        return data if group.samples is None else data[sample]

    labels, instances = one("labels"), one("instances").astype(np.int32)
    if labels.max(initial=0) > 255:
        raise ValueError(f"{where}: labels: expected class ids up to 255, got {labels.max()}")
    tag, nowhere, no_ids = group.tag, np.zeros((0, 2), np.float32), np.zeros(0, np.uint8)
    recipe = _recipe(group, sample)
    labels = labels.astype(np.uint8)
    return Record(
        image=one("image")[..., :3],
        instances=instances,
        labels=labels,
        distance=one("distance").astype(np.float32)
        if "distance" in group.layers
        else distance_map(instances),
        layout=Layout(nowhere, no_ids, (labels.shape[0], labels.shape[1]), tag.mpp, tag.classes),
        mpp=tag.mpp,
        tissue=str(recipe.get("tissue", tag.tissue)),
        source=where,
        stain=str(recipe.get("stain", tag.stain)),
    )


def _layout(
    group: Group,
    sample: int,
    labels: npt.NDArray[np.uint8],
    instances: npt.NDArray[np.int32],
) -> Layout:
    """The Points layer's layout, else the sample's own, else the instances' centroids."""
    classes, mpp = group.tag.classes, group.tag.mpp
    if "layout" in group.layers:
        return _layout_of_points(group, sample, (labels.shape[0], labels.shape[1]))
    agreed = group.agreed(sample)
    if agreed is not None and np.array_equal(agreed.instances, instances):
        return agreed.layout
    ids = majority_classes(instances, labels, len(classes))
    if (ids == 0).any():  # an id is missing, or a nucleus has no class
        raise ValueError(f"{group.name}: instances were edited: press Update from instances")
    return layout_of(instances, ids, mpp, classes)


def _layout_of_points(group: Group, sample: int, shape: tuple[int, int]) -> Layout:
    data, kwargs, _ = group.layers["layout"]
    classes, mpp, canvas = group.tag.classes, group.tag.mpp, shape
    if (tag := _tag(group.layers["layout"])) is not None:
        mpp = tag.mpp
        canvas = tuple(kwargs["metadata"][KEY].get("shape", shape))
    points = np.asarray(data, np.float64)
    column = kwargs.get("features", {}).get("class")
    name = kwargs.get("name", "layout")
    if column is None:
        raise ValueError(f"{name}: its points have no class column")
    names = np.asarray(column, object)
    if points.shape[1] == 3:
        rows = np.round(points[:, 0]).astype(int) == sample
        points, names = points[rows, 1:], names[rows]
    try:
        ids = np.array([classes.index(str(n)) for n in names], np.uint8)
        # The layout may have another µm/px; the result is on the checkpoint's grid.
        layout = Layout(points.astype(np.float32), ids, canvas, mpp, classes).scaled_to(
            group.tag.mpp
        )
        pixels(layout)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if layout.shape != shape:
        raise ValueError(f"{name}: its canvas {layout.shape} is not the result's {shape}")
    return layout


def _recipe(group: Group, sample: int) -> dict[str, Any]:
    recipes = group.tag.recipes
    return dict(recipes[sample]) if sample < len(recipes) else {}


def _description(group: Group, record: Record, sample: int) -> dict[str, Any]:
    """The recipe, with ``edited`` if labels or instances differ from the sample as it was made."""
    description = _recipe(group, sample)
    raw = group.raw(sample)
    if raw is not None and not (
        np.array_equal(raw.labels, record.labels)
        and np.array_equal(raw.instances, record.instances)
    ):
        description["edited"] = True
        # Note the changed points, so that those it was sampled from can be recovered for a replay.
        edit = edit_between(raw.layout, record.layout)
        if edit["removed"] or edit["added"]:
            description["relaid"] = [*description.get("relaid", ()), edit]
    return description
