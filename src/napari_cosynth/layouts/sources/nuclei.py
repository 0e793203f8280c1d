"""Nuclei as other programs write them, and their conversion to a layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_cosynth.geometry.outlines import Outline, outline_instances
from napari_cosynth.types import ClassTable, Layout


@dataclass(frozen=True)
class Nuclei:
    """Nuclei of an image, in its pixels, with the class names of their source."""

    centroids: npt.NDArray[np.float64]
    """float64 (N, 2), (y, x), pixel centres at integers."""
    class_names: tuple[str, ...]
    """N class names; empty for a nucleus without a class."""
    source: str
    """File, for error messages."""
    outlines: tuple[Outline, ...] | None = None
    """N outlines, or None where the file holds points."""
    measurements: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    """float64 (N,) by name, NaN for a nucleus without this measurement."""
    mpp: float | None = None
    """Micrometres per pixel; None where the file does not tell."""
    shape: tuple[int, int] | None = None
    """(H, W) of the image in pixels; None where the file does not tell."""
    notes: tuple[str, ...] = ()
    """Lines for the user on nuclei that were left out or are in several parts."""

    def __len__(self) -> int:
        return len(self.centroids)

    @property
    def names(self) -> tuple[str, ...]:
        """The class names that occur, in order of appearance; empty means without a class."""
        return tuple(dict.fromkeys(self.class_names))

    @property
    def extent(self) -> tuple[int, int]:
        """(H, W) of the image, or of the smallest canvas from pixel (0, 0) that holds every nucleus."""
        if self.shape is not None:
            return self.shape
        # A centroid on the far border of a pixel belongs to the next one; an outline may end there.
        reach = [np.floor(self.centroids.max(0) + 0.5) + 1] if len(self) else [np.ones(2)]
        for parts in self.outlines or ():
            reach += [np.ceil(ring.max(0) + 0.5) for part in parts for ring in part]
        height, width = (max(1, int(v)) for v in np.max(reach, axis=0))
        return height, width

    def instances(self, shape: tuple[int, int]) -> npt.NDArray[np.int32]:
        """The outlines drawn on a canvas of the image's pixels, int32 (H, W); ids are row + 1.

        Raises ValueError where the file holds points only.
        """
        if self.outlines is None:
            raise ValueError(f"{self.source}: points only: nothing to draw instances of")
        return outline_instances(self.outlines, shape)


def mapped_ids(
    nuclei: Nuclei, classes: ClassTable, mapping: Mapping[str, str]
) -> npt.NDArray[np.uint8]:
    """Class ids, uint8 (N,); 0 where the mapping leaves a class out.

    ``mapping`` has a name of ``classes`` for each class name of the file, or an empty one to leave its
    nuclei out. A name that is not in it stands for itself. Raises ValueError naming the classes that
    remain unknown.
    """
    table: dict[str, int] = {}
    unknown = []
    for name in nuclei.names:
        wanted = mapping.get(name, name)
        if wanted in classes.names[1:]:
            table[name] = classes.index(wanted)
        elif name in mapping and not wanted:
            table[name] = 0
        else:
            unknown.append(name or "(no class)")
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise ValueError(
            f"{nuclei.source}: class: {', '.join(unknown[:5])}{more}: expected one of "
            + ", ".join(classes.names[1:])
        )
    return np.array([table[name] for name in nuclei.class_names], np.uint8)


def layout_on(
    nuclei: Nuclei,
    classes: ClassTable,
    mapping: Mapping[str, str],
    shape: tuple[int, int],
    mpp: float,
    origin: tuple[float, float] = (0.0, 0.0),
    step: float = 1.0,
) -> tuple[Layout, tuple[str, ...]]:
    """The layout of the nuclei on a canvas, and lines on nuclei that were left out.

    ``origin`` is the centre of the canvas' pixel (0, 0) and ``step`` the side of its pixels, both in the
    image's pixels; ``mpp`` is the canvas'. Of several nuclei on one pixel of the canvas the first stays,
    since a layout holds one point a pixel. Raises ValueError as :func:`mapped_ids` does.
    """
    ids = mapped_ids(nuclei, classes, mapping)
    at = ((nuclei.centroids - np.array(origin)) / step).astype(np.float32)
    inside = ((at >= -0.5) & (at < np.array(shape, np.float32) - 0.5)).all(1)
    chosen = np.flatnonzero(inside & (ids > 0))
    pixel = np.floor(at[chosen].astype(np.float64) + 0.5).astype(np.int64)
    _, first = np.unique(pixel[:, 0] * shape[1] + pixel[:, 1], return_index=True)
    rows = chosen[np.sort(first)]
    counts = {
        "outside the canvas": int((~inside).sum()),
        "of classes that are left out": int((inside & (ids == 0)).sum()),
        "on a pixel that another nucleus has": len(chosen) - len(rows),
    }
    notes = tuple(f"left out: {count:,} {what}" for what, count in counts.items() if count)
    return Layout(at[rows], ids[rows], shape, mpp, classes), notes
