"""Class-balanced draws of nuclei: all classes are equally likely, however rare their nuclei are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_cosynth.types import Record


class ClassBalance:
    """The nuclei of a data set by class; a draw chooses a class first and then one of its nuclei."""

    def __init__(self, records: Sequence[Record]) -> None:
        classes = np.concatenate([r.layout.class_ids for r in records])
        tiles = np.repeat(np.arange(len(records)), [len(r.layout) for r in records])
        centroids = np.concatenate([r.layout.centroids for r in records])
        self._nuclei = [
            (tiles[classes == index], centroids[classes == index])
            for index in np.unique(classes).tolist()
        ]

    def draw(self, rng: np.random.Generator) -> tuple[int, npt.NDArray[np.float32]] | None:
        """The index of a record and the centroid (y, x) of a nucleus in it; None without nuclei."""
        if not self._nuclei:
            return None
        tiles, centroids = self._nuclei[int(rng.integers(len(self._nuclei)))]
        chosen = int(rng.integers(len(tiles)))
        return int(tiles[chosen]), centroids[chosen]
