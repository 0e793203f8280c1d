"""Annotated tissue: nuclei as points, and a patch with its image, instances, labels and distance."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cosynth.types.classes import ClassTable, frozen, require

H_AND_E = "H&E"
"""Haematoxylin and eosin: the stain where none is named."""


@dataclass(frozen=True)
class Layout:
    """Class-tagged nucleus centroids on a canvas."""

    centroids: npt.NDArray[np.float32]
    """float32 (N, 2), (y, x) in pixels, inside the canvas."""
    class_ids: npt.NDArray[np.uint8]
    """uint8 (N,), 1..K-1."""
    shape: tuple[int, int]
    """(H, W) of the canvas in pixels."""
    mpp: float
    """Micrometres per pixel."""
    classes: ClassTable

    def __post_init__(self) -> None:
        centroids = np.asarray(self.centroids, dtype=np.float32).reshape(-1, 2)
        raw_ids = np.asarray(self.class_ids).reshape(-1)
        shape = tuple(int(v) for v in self.shape)
        require(
            len(shape) == 2 and min(shape) > 0, f"shape: expected (H, W) above 0, got {self.shape}"
        )
        require(
            len(raw_ids) == len(centroids),
            f"class_ids: expected {len(centroids)} of them, one per centroid, got {len(raw_ids)}",
        )
        require(
            np.isfinite(self.mpp) and self.mpp > 0,
            f"mpp: expected micrometres per pixel above 0, got {self.mpp}",
        )
        unknown = np.flatnonzero(~np.isfinite(centroids).all(1))
        if unknown.size:
            y, x = centroids[unknown[0]]
            raise ValueError(f"point {unknown[0]}: expected finite coordinates, got ({y}, {x})")
        outside = np.flatnonzero(
            (centroids < -0.5).any(1) | (centroids >= np.array(shape) - 0.5).any(1)
        )
        if outside.size:
            y, x = centroids[outside[0]]
            raise ValueError(
                f"point {outside[0]} at ({y:g}, {x:g}) lies outside the canvas of {shape[0]} x "
                f"{shape[1]} pixels"
                + (f" (and {outside.size - 1} more)" if outside.size > 1 else "")
            )
        bad = np.flatnonzero((raw_ids < 1) | (raw_ids >= len(self.classes)))
        if bad.size:
            raise ValueError(
                f"point {bad[0]}: expected a class id in 1..{len(self.classes) - 1}, "
                f"got {raw_ids[bad[0]]}"
            )
        object.__setattr__(self, "centroids", frozen(centroids))
        object.__setattr__(self, "class_ids", frozen(raw_ids.astype(np.uint8)))
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "mpp", float(self.mpp))

    def __len__(self) -> int:
        return len(self.centroids)

    @property
    def density(self) -> float:
        """Nuclei per mm² of the canvas."""
        height, width = self.shape
        return len(self) / (height * width * (self.mpp / 1000) ** 2)

    def in_classes(self, classes: ClassTable) -> Layout:
        """This layout with the ids of another class table; classes are matched by name.

        Raises ValueError where the table lacks a class that has points.
        """
        ids = np.zeros(len(self.classes), np.uint8)
        for used in np.unique(self.class_ids):
            ids[used] = classes.index(self.classes.names[used])
        return dataclasses.replace(self, class_ids=ids[self.class_ids], classes=classes)

    def scaled_to(self, mpp: float) -> Layout:
        """This layout on a grid of another pixel size; the canvas keeps its extent in micrometres.

        Pixel *corners* stay in place, so centres move by ``(factor - 1) / 2``.
        """
        factor = self.mpp / mpp
        if np.isclose(factor, 1.0, rtol=1e-6):
            return dataclasses.replace(self, mpp=mpp)
        shape = (max(1, round(self.shape[0] * factor)), max(1, round(self.shape[1] * factor)))
        ratio = np.array(shape, np.float64) / np.array(self.shape)
        centroids = (self.centroids.astype(np.float64) + 0.5) * ratio - 0.5
        return Layout(on_canvas(centroids, shape), self.class_ids, shape, mpp, self.classes)


def on_canvas(
    centroids: npt.NDArray[np.float64], shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Points of a canvas (H, W) as float32 (N, 2); rounding to float32 moves none beyond its rim."""
    last = np.nextafter(np.array(shape, np.float32) - np.float32(0.5), np.float32(0))
    return np.asarray(np.minimum(centroids.astype(np.float32), last))


@dataclass(frozen=True)
class Record:
    """One annotated patch or tile: what training reads, synthesis makes and exports store."""

    image: npt.NDArray[np.uint8]
    """RGB, uint8 (H, W, 3), 0..255."""
    instances: npt.NDArray[np.int32]
    """int32 (H, W), 0 where there is no nucleus."""
    labels: npt.NDArray[np.uint8]
    """Semantic labels, uint8 (H, W), 0..K-1; above 0 exactly where ``instances`` is."""
    distance: npt.NDArray[np.float32]
    """float32 (H, W) in [0, 1]: 1 at a nucleus' centroid, falling to its rim, 0 outside."""
    layout: Layout
    mpp: float
    """Micrometres per pixel."""
    tissue: str
    """Organ or tissue as a prompt names it; empty if unknown."""
    source: str
    """Where the record comes from: a file or a recipe, for error messages and provenance."""
    stain: str = H_AND_E

    def __post_init__(self) -> None:
        image, shape = np.asarray(self.image), np.shape(self.instances)
        require(
            image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3,
            f"{self.source}: image: expected uint8 (H, W, 3), got {image.dtype} {image.shape}",
        )
        for name, dtype in (
            ("instances", np.int32),
            ("labels", np.uint8),
            ("distance", np.float32),
        ):
            array = np.asarray(getattr(self, name))
            require(
                array.dtype == dtype and array.shape == image.shape[:2],
                f"{self.source}: {name}: expected {np.dtype(dtype)} {image.shape[:2]}, "
                f"got {array.dtype} {array.shape}",
            )
        require(
            self.layout.shape == shape,
            f"{self.source}: layout: expected a canvas of {shape}, got {self.layout.shape}",
        )
        for name in ("image", "instances", "labels", "distance"):
            object.__setattr__(self, name, frozen(np.asarray(getattr(self, name))))

    @property
    def classes(self) -> ClassTable:
        """The layout's class table."""
        return self.layout.classes

    @property
    def nbytes(self) -> int:
        """Bytes of its four arrays."""
        return sum(a.nbytes for a in (self.image, self.instances, self.labels, self.distance))
