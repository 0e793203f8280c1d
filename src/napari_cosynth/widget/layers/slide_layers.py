"""Slides -> layer tuples: multiscale, lazy, with their µm/px as scale and units."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from napari.utils import DirectLabelColormap

from napari_cosynth.slides.ome_zarr_slide import LabelPlane, Plane, open_ome_zarr
from napari_cosynth.slides.slide import open_slide
from napari_cosynth.widget.layers.placement import MICROMETRE

LayerTuple: TypeAlias = tuple[Any, dict[str, Any], str]
"""A layer as napari expects it from a reader: data, keyword arguments, kind of layer."""


def slide_layers(path: Path) -> list[LayerTuple]:
    """One Image; if the file has a µm/px, it becomes scale, units and ``metadata["mpp"]``."""
    slide = open_slide(path)
    return [_image(Plane(path.stem, slide.levels, slide.mpp, (0.0, 0.0)), path)]


def zarr_layers(path: Path) -> list[LayerTuple]:
    """An Image for RGB or for each channel, and a Labels layer for each image of ``labels/``."""
    opened = open_ome_zarr(path)
    images = [_image(plane, path) for plane in opened.planes]
    return images + [_labels(plane, path) for plane in opened.labels]


def _common(plane: Plane, path: Path) -> tuple[Any, dict[str, Any]]:
    kwargs: dict[str, Any] = {
        "name": plane.name,
        "metadata": {"path": str(path)},
        "translate": plane.origin,
        "multiscale": len(plane.levels) > 1,
    }
    if plane.mpp is not None:
        kwargs["scale"] = (plane.mpp, plane.mpp)
        kwargs["units"] = (MICROMETRE, MICROMETRE)
        kwargs["metadata"]["mpp"] = plane.mpp
    return (list(plane.levels) if kwargs["multiscale"] else plane.levels[0]), kwargs


def _image(plane: Plane, path: Path) -> LayerTuple:
    data, kwargs = _common(plane, path)
    kwargs["rgb"] = plane.levels[0].ndim == 3
    if plane.color is not None:
        kwargs["colormap"] = f"#{plane.color}"
        kwargs["blending"] = "additive"
    if not kwargs["rgb"]:
        # Without limits napari would read a whole large level to find them.
        coarse = np.asarray(plane.levels[-1])
        low, high = float(coarse.min()), float(coarse.max())
        kwargs["contrast_limits"] = (
            (0, 255) if coarse.dtype == np.uint8 else (low, max(high, low + 1))
        )
    return data, kwargs, "image"


def _labels(plane: LabelPlane, path: Path) -> LayerTuple:
    data, kwargs = _common(plane, path)
    kwargs["opacity"] = 0.5
    if plane.classes:
        index = [0, *(i for i in sorted(plane.classes) if i)]
        names = ["", *(plane.classes[i] for i in index[1:])]
        kwargs["features"] = pd.DataFrame({"index": index, "class": names})
    if plane.colors:
        table: dict[int | None, Any] = {i: np.array(color) for i, color in plane.colors.items()}
        table.setdefault(0, np.zeros(4))
        table[None] = np.ones(4)
        kwargs["colormap"] = DirectLabelColormap(color_dict=table)
    return data, kwargs, "labels"
