"""Haematoxylin in an image, and the nuclei of a sample that do not look like nuclei: pale or small."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi
from skimage.color import rgb2hed

from napari_cosynth.geometry.measure import majority_classes
from napari_cosynth.types import Record, Report

_INK = 1.25
"""Optical density of red over that of green above which it is no haematoxylin (0.93 by Ruifrok)."""
AROUND = 2.0
"""µm around an instance with which its haematoxylin is compared."""
SMALL = 0.5
"""Share of its class' usual area under which a nucleus is small."""


def haematoxylin(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Haematoxylin's optical density, float32 (H, W), 0 where there is none, and where ink is.

    Blue ink of surgical margins would pass for the strongest haematoxylin; but it absorbs red far more
    than green, and haematoxylin does not.
    """
    density = -np.log10((image[..., :2].astype(np.float32) + 1) / 256)
    ink = (density[..., 0] > _INK * density[..., 1]) & (density[..., 0] > 0.2)
    stain = rgb2hed(image)[..., 0].clip(0)
    stain[ink] = 0
    return np.asarray(stain, np.float32)


def judged(report: Report, record: Record, areas: Mapping[str, float]) -> Report:
    """A report with what the pixels say of a record's instances: :attr:`Report.pale`, and
    :attr:`Report.small` where ``areas``, µm² by class name, tells the usual area of a class.

    An instance that touches the record's rim may be cut by it, and is never small.
    """
    margin = max(1, math.ceil(AROUND / record.mpp))
    ids = majority_classes(record.instances, record.labels, len(record.classes))
    usual = [areas.get(name, 0.0) / record.mpp**2 for name in record.classes.names]
    height, width = record.instances.shape
    pale, small = [], []
    # One nucleus at a time: a whole slide's stain would not fit into memory beside its sample.
    for number, box in enumerate(ndi.find_objects(record.instances), start=1):
        if box is None:
            continue
        rows, columns = box
        seen = (
            slice(max(0, rows.start - margin), rows.stop + margin),
            slice(max(0, columns.start - margin), columns.stop + margin),
        )
        instances = record.instances[seen]
        inside = instances == number
        around = (ndi.distance_transform_edt(~inside) <= margin) & (instances == 0)
        stain = haematoxylin(record.image[seen])
        if around.any() and stain[inside].mean() <= stain[around].mean():
            pale.append(number)
        cut = 0 in (rows.start, columns.start) or rows.stop == height or columns.stop == width
        if not cut and inside.sum() < SMALL * usual[int(ids[number - 1])]:
            small.append(number)
    return dataclasses.replace(report, pale=tuple(pale), small=tuple(small))
