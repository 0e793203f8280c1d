"""Small pictures of pixels, for lists and forms; made in any thread."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QBuffer, QByteArray
from qtpy.QtGui import QImage
from skimage.transform import resize_local_mean


def small_picture(pixels: npt.NDArray[Any], side: int) -> QImage:
    """An image, uint8 (H, W, 3), with its longer side at ``side`` pixels."""
    height, width = pixels.shape[:2]
    factor = side / max(height, width)
    shape = (max(1, round(height * factor)), max(1, round(width * factor)))
    small = resize_local_mean(pixels.astype(np.float64), shape, channel_axis=-1)
    return as_qimage(small.round().clip(0, 255).astype(np.uint8))


def as_qimage(pixels: npt.NDArray[np.uint8]) -> QImage:
    """An image, uint8 (H, W, 3), as a QImage."""
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return image.copy()  # into memory of Qt's own: the bytes are freed when this returns


def as_html(image: QImage) -> str:
    """A picture as HTML for a tooltip."""
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return f'<img src="data:image/png;base64,{base64.b64encode(bytes(data.data())).decode()}">'
