"""Instance separation of a sample: its record and report, from sampled image, labels and distance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from napari_cosynth.geometry.instances import agreeing_labels, separate
from napari_cosynth.stain.haematoxylin import judged
from napari_cosynth.types import Layout, Record, Report, Request


def separated(
    image: npt.NDArray[np.uint8],
    raw: npt.NDArray[np.uint8],
    distance: npt.NDArray[np.float32],
    layout: Layout,
    request: Request,
    source: str,
    areas: Mapping[str, float],
) -> tuple[Record, Report]:
    """A sample's record, and the report of its instance separation.

    The record's semantic labels agree with its instances. ``image`` uint8 (H, W, 3), ``raw`` labels
    uint8 (H, W) and ``distance`` float32 (H, W) in [0, 1] are as sampled; ``layout`` is on the same
    canvas. ``areas`` are the classes' usual nucleus areas in µm², by class name.
    """
    instances, report = separate(raw, distance, layout)
    record = Record(
        image=image,
        instances=instances,
        labels=agreeing_labels(instances, raw, len(layout.classes)),
        distance=distance,
        layout=layout,
        mpp=layout.mpp,
        tissue=request.tissue,
        source=source,
        stain=request.stain,
    )
    return record, judged(report, record, areas)
