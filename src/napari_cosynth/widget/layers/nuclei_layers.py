"""Nuclei of other programs' files -> layer tuples: points, and their outlines as labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
import numpy as np
import pandas as pd
from napari.layers import Image, Layer
from napari.utils.notifications import show_info

from napari_cosynth.layouts.sources.class_names import own_table
from napari_cosynth.layouts.sources.nuclei import Nuclei
from napari_cosynth.layouts.sources.read import read_nuclei
from napari_cosynth.widget.layers.layout import points_kwargs
from napari_cosynth.widget.layers.placement import LARGEST_SIDE, MICROMETRE, unit_of
from napari_cosynth.widget.layers.results import instance_colors
from napari_cosynth.widget.layers.slide_layers import LayerTuple
from napari_cosynth.widget.layers.tags import KEY, read_tag


def nuclei_layers(path: Path) -> list[LayerTuple]:
    """Points with the file's own classes and measurements, and the outlines as Labels.

    Labels are left out if a side is longer than ``LARGEST_SIDE``. The layers lie on the topmost image of
    the viewer that is large enough. Messages tell what the reader left out.
    """
    nuclei = read_nuclei(path)
    for note in nuclei.notes:
        show_info(f"{path.name}: {note}")
    viewer = napari.current_viewer()
    on = image_of(viewer.layers, nuclei) if viewer is not None else None
    classes, ids = own_table(nuclei.class_names)
    shape = nuclei.extent
    if on is not None:
        data = on.data[0] if on.multiscale else on.data
        shape = data.shape[:2]
    place = _place(nuclei, on)
    points = points_kwargs(ids, classes)
    for name, values in nuclei.measurements.items():
        column = f"{name} (measured)" if name in ("class", "note") else name
        points["features"][column] = values
        points["feature_defaults"][column] = np.nan
    points["metadata"] = {"path": str(path)}
    if max(shape) <= LARGEST_SIDE:
        points["metadata"][KEY] = {"shape": [int(n) for n in shape]}
    found: list[LayerTuple] = []
    if nuclei.outlines is not None and max(shape) <= LARGEST_SIDE:
        instances = nuclei.instances((int(shape[0]), int(shape[1])))
        names = ["", *(classes.names[i] for i in ids)]
        labels = {
            "name": f"{path.stem} outlines",
            "features": pd.DataFrame({"index": np.arange(len(names)), "class": names}),
            "colormap": instance_colors(ids, classes),
            "opacity": 0.5,
            "metadata": {"path": str(path)},
        }
        found.append((instances, {**labels, **place}, "labels"))
    found.append((nuclei.centroids, {"name": path.stem, "ndim": 2, **points, **place}, "points"))
    return found


def image_of(layers: Any, nuclei: Nuclei) -> Image | None:
    """The topmost visible image on which all nuclei lie, results excluded; None without one."""
    for layer in reversed(layers):
        if isinstance(layer, Image) and layer.visible and layer.ndim == 2:
            first = layer.data[0] if layer.multiscale else layer.data
            if (
                read_tag(layer.metadata) is None
                and (np.array(nuclei.extent) <= first.shape[:2]).all()
            ):
                return layer
    return None


def _place(nuclei: Nuclei, on: Layer | None) -> dict[str, Any]:
    if on is not None:
        return {"scale": on.scale, "translate": on.translate, "units": (unit_of(on),) * 2}
    if nuclei.mpp is not None:
        return {"scale": (nuclei.mpp, nuclei.mpp), "units": (MICROMETRE, MICROMETRE)}
    return {}
