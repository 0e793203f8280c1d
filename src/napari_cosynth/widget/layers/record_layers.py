"""Records -> layer tuples: image, distance, labels, instances and layout as one group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_cosynth.geometry.measure import majority_classes
from napari_cosynth.types import Record
from napari_cosynth.widget.layers.layout import no_notes, points_kwargs
from napari_cosynth.widget.layers.placement import MICROMETRE
from napari_cosynth.widget.layers.results import (
    SEPARATOR,
    class_features,
    instance_colors,
    label_colors,
)
from napari_cosynth.widget.layers.slide_layers import LayerTuple
from napari_cosynth.widget.layers.tags import KEY, Tag

RAW_KEY = "cosynth_raw"
"""``layer.metadata[RAW_KEY]``: tuple of the records as they were read, so that edits can be undone."""


def record_layers(
    records: tuple[Record, ...], descriptions: Sequence[dict[str, Any]], group: str
) -> list[LayerTuple]:
    """Layer tuples of records that share shape, class table and µm/px; bottom first.

    N records have a leading sample axis, (N, H, W[, 3]), and points (sample, y, x). A single record has
    no such axis. Raises ValueError if there is no record.
    """
    if not records:
        raise ValueError(f"{group}: an empty stack")
    first, single = records[0], len(records) == 1
    classes = first.classes
    lead: tuple[int, ...] = () if single else (1,)
    common = {
        "scale": (*lead, first.mpp, first.mpp),
        "units": (*("pixel" for _ in lead), MICROMETRE, MICROMETRE),
        "axis_labels": (*("sample" for _ in lead), "y", "x"),
    }

    def of(role: str) -> dict[str, Any]:
        tag = Tag(
            role, group, classes, first.mpp, first.tissue, first.stain, tuple(descriptions)
        ).metadata()[KEY]
        if role == "layout":
            tag["shape"] = list(first.labels.shape)
        return {
            "name": f"{group}{SEPARATOR}{role}",
            "metadata": {KEY: tag, RAW_KEY: records},
            **common,
        }

    def stacked(field: str) -> npt.NDArray[Any]:
        arrays = [getattr(record, field) for record in records]
        return np.array(arrays[0]) if single else np.stack(arrays)

    distance = {"colormap": "magma", "contrast_limits": (0, 1), "visible": False}
    labels = {
        "features": class_features(classes),
        "colormap": label_colors(classes),
        "opacity": 0.5,
        "visible": False,
    }
    instances: dict[str, Any] = {"opacity": 0.5}
    if single:  # ids repeat in each sample, so only a single sample can have one class an id
        ids = majority_classes(first.instances, first.labels, len(classes))
        names = [classes.names[i] for i in (0, *ids)]
        instances["features"] = pd.DataFrame({"index": np.arange(len(names)), "class": names})
        instances["colormap"] = instance_colors(ids, classes)
    points = np.concatenate([_with_sample(r, i, single) for i, r in enumerate(records)])
    class_ids = np.concatenate([r.layout.class_ids for r in records])
    layout = {**points_kwargs(class_ids, classes), **of("layout")}
    layout["features"]["note"] = no_notes(len(points))
    layout["feature_defaults"]["note"] = ""
    return [
        (stacked("image"), {"rgb": True, **of("image")}, "image"),
        (stacked("distance"), {**distance, **of("distance")}, "image"),
        (stacked("labels"), {**labels, **of("labels")}, "labels"),
        (stacked("instances"), {**instances, **of("instances")}, "labels"),
        (points, layout, "points"),
    ]


def _with_sample(record: Record, index: int, single: bool) -> npt.NDArray[np.float64]:
    points = np.asarray(record.layout.centroids, np.float64)
    return points if single else np.insert(points, 0, index, axis=1)
