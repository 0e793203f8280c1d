"""File > Open Sample > CoSynth: layouts, a finished pair, and a real IHC image."""

from __future__ import annotations

import napari
import numpy as np

from napari_cosynth.layouts.drawn.patterns import SAMPLES, bundled_layouts
from napari_cosynth.widget.layers.dataset_layers import dataset_layers
from napari_cosynth.widget.layers.layout import layout_layer
from napari_cosynth.widget.layers.placement import free_placement
from napari_cosynth.widget.layers.slide_layers import LayerTuple
from napari_cosynth.widget.layers.tags import KEY

PAIR = "pair"
"""Folder of the finished pair among the package's samples: a training stack of one sample."""


def gland() -> list[LayerTuple]:
    return _layout("gland")


def stream() -> list[LayerTuple]:
    return _layout("stream")


def inflammation() -> list[LayerTuple]:
    return _layout("inflammation")


def tumour() -> list[LayerTuple]:
    return _layout("tumour")


def _layout(name: str) -> list[LayerTuple]:
    """A bundled layout as an editable layer, in the units of the layers that are there."""
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


def immunohistochemistry() -> list[LayerTuple]:
    """Colonic glands, DAB and haematoxylin, uint8 (512, 512, 3); its µm/px is not known.

    scikit-image downloads it once. Raises ValueError in one line where it cannot.
    """
    from skimage import data

    try:
        image = np.asarray(data.immunohistochemistry())
    except Exception as error:  # pooch, requests and the network raise what they like
        raise ValueError(
            "the IHC image is not on this machine and scikit-image could not download it: "
            f"{type(error).__name__}; connect once, then try again"
        ) from None
    metadata = {"source": "skimage.data.immunohistochemistry"}
    return [(image, {"name": "IHC, colon", "rgb": True, "metadata": metadata}, "image")]
