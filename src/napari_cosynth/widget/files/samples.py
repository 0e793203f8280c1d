"""File > Open Sample > CoSynth: layouts, a finished pair, a finished project, and a real IHC image."""

from __future__ import annotations

import napari
import numpy as np

from napari_cosynth.datasets.formats import open_records
from napari_cosynth.layouts.drawn.patterns import SAMPLES, bundled_layouts
from napari_cosynth.widget.layers.dataset_layers import dataset_layers
from napari_cosynth.widget.layers.layout import layout_layer
from napari_cosynth.widget.layers.placement import free_placement
from napari_cosynth.widget.layers.record_layers import record_layers
from napari_cosynth.widget.layers.results import group_name
from napari_cosynth.widget.layers.slide_layers import LayerTuple, slide_layers
from napari_cosynth.widget.layers.tags import KEY

PAIR = "pair"
"""Folder of the finished pair among the package's samples: a training stack of one sample."""
PROJECT = "project"
"""Name of the finished project: a slide ``project.tif``, and a folder with the results in its region."""


def gland() -> list[LayerTuple]:
    return _layout("gland")


def stream() -> list[LayerTuple]:
    return _layout("stream")


def inflammation() -> list[LayerTuple]:
    return _layout("inflammation")


def tumour() -> list[LayerTuple]:
    return _layout("tumour")


def _layout(name: str) -> list[LayerTuple]:
    """A bundled layout as an editable layer, in the units of the viewer's layers."""
    bundled = bundled_layouts()[name]
    viewer = napari.current_viewer()
    layout = bundled.layout
    placement = free_placement(layout.shape, layout.mpp, viewer.layers if viewer else ())
    layer = layout_layer(layout, placement, bundled.title)
    layer.metadata[KEY]["tissue"] = bundled.tissue
    return [layer.as_layer_data_tuple()]


def finished_pair() -> list[LayerTuple]:
    """Image, distance, labels, instances and layout of one sample of the bundled model."""
    return dataset_layers(SAMPLES / PAIR)


def finished_project() -> list[LayerTuple]:
    """A part of a slide, two results with more nuclei at their place in it, and their common layout.

    The slide and the first result, with outlined nuclei, are visible. Both results have their recipes, so
    either can be continued.
    """
    ((pixels, of_slide, kind),) = slide_layers(SAMPLES / f"{PROJECT}.tif")
    layers: list[LayerTuple] = [(pixels, {**of_slide, "name": f"{PROJECT} slide"}, kind)]
    _, dataset = open_records(SAMPLES / PROJECT)
    assert dataset.own is not None
    for number, name in reversed(list(enumerate(dataset.names))):
        recipe = dict(dataset.own.samples[dataset.own.index[name]])
        group = group_name(PROJECT, recipe["seed"])
        for data, kwargs, role in record_layers((dataset.read(name),), [recipe], group):
            if role == "points" and number:
                continue  # both results have the same layout
            y, x = of_slide["scale"]
            top, left, _, _ = recipe["inpainted"]["region"]
            kwargs.update(scale=(y, x), translate=(top * y, left * x))
            if number or role == "points":
                kwargs["visible"] = False
            layers.append((data, kwargs, role))
    return layers


def immunohistochemistry() -> list[LayerTuple]:
    """Image of colonic glands, DAB and haematoxylin, uint8 (512, 512, 3); its µm/px is not known.

    scikit-image downloads it once. Raises ValueError in one line if that fails.
    """
    from skimage import data

    try:
        image = np.asarray(data.immunohistochemistry())
    except Exception as error:  # pooch, requests and the network raise many classes
        raise ValueError(
            "the IHC image is not on this machine and scikit-image could not download it: "
            f"{type(error).__name__}; connect once, then try again"
        ) from None
    metadata = {"source": "skimage.data.immunohistochemistry"}
    return [(image, {"name": "IHC, colon", "rgb": True, "metadata": metadata}, "image")]
