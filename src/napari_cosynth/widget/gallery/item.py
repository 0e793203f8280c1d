"""A row of the gallery: a sample on the disk, its thumbnail, and the words under it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qtpy.QtGui import QIcon, QImage, QPixmap

from napari_cosynth.widget.gallery.session import Entry
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.qt.thumbnails import small_picture

THUMBNAIL = 96
"""Pixels of a thumbnail's longer side."""


@dataclass(frozen=True)
class Item:
    """One row: a sample that is written to the disk."""

    number: int
    entry: Entry
    thumbnail: QImage
    group: str
    """Name of the sample's layers, whether they are in the viewer or not."""

    @classmethod
    def of(cls, number: int, entry: Entry, image: npt.NDArray[np.uint8], group: str) -> Item:
        """The row of a sample with this image, uint8 (H, W, 3); may be called in any thread."""
        return cls(number, entry, small_picture(image, THUMBNAIL), group)


def icon(image: QImage) -> QIcon:
    """A thumbnail as an icon that looks the same when it is selected."""
    pixmap = QPixmap.fromImage(image)
    made = QIcon(pixmap)
    # Qt would tint the selected picture, but the user compares colours.
    made.addPixmap(pixmap, QIcon.Mode.Selected)
    return made


def caption(entry: Entry) -> str:
    """Two lines under a thumbnail: the group's name, and how the sample was made."""
    steps = "1 step" if entry.steps == 1 else f"{entry.steps} steps"
    how = [steps] if entry.steps else []
    how += [entry.kind] if entry.kind else []
    return f"{results.group_name(entry.layout, entry.seed)}\n{', '.join(how)}"
