"""Sampled image, labels and distance -> a record with its instances, and their report."""

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
    """A sample's record with its instances, and semantic labels that agree with them.

    ``image`` uint8 (H, W, 3), ``raw`` labels uint8 (H, W) and ``distance`` float32 (H, W) in [0, 1] as
    they were sampled; ``layout`` on the same canvas; ``areas`` are the usual ones of the classes in µm²,
    by name.
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
