"""PNG, JPEG and BMP files as a viewer shows them, read by Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.io.tiff import upright
from napari_cosynth.slides.pixels import opaque

_SIXTEEN = ("I;16", "I;16B", "I;16L", "I;16N")
_UNKNOWN = ("LAB", "F")
"""Modes whose conversion to RGB would be a guess."""


def picture(path: Path) -> npt.NDArray[Any]:
    """An image file as grey (H, W) or RGB (H, W, 3), uint8, or uint16 if the file has 16 bits.

    Palettes, CMYK and YCbCr become RGB. Transparent pixels are blended onto white. EXIF's orientation is
    applied. Raises ValueError naming the file and an unknown kind of colours; Pillow's errors pass
    through.
    """
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        if (wide := _wide_png(path)) is not None:
            return upright(wide, opened.getexif().get(0x0112, 1))
        if opened.mode in _UNKNOWN:
            raise ValueError(f"{path}: colours of the mode {opened.mode} are not read")
        image = ImageOps.exif_transpose(opened)
        if image.mode in _SIXTEEN:
            return np.asarray(image)
        if image.mode == "I":
            values = np.asarray(image)
            fits = values.min(initial=0) >= 0 and values.max(initial=0) <= 65535
            return values.astype(np.uint16) if fits else values
        if image.has_transparency_data:
            rgba = np.asarray(image.convert("RGBA"))
            return opaque(rgba[..., :3], rgba[..., 3:])
        return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def _wide_png(path: Path) -> npt.NDArray[Any] | None:
    """A PNG of 16-bit colours, or 16-bit grey with transparency, on white; None for other files.

    Pillow would cut these to 8 bits.
    """
    with path.open("rb") as file:
        head = file.read(26)
    grey = 0
    if head[:8] != b"\x89PNG\r\n\x1a\n" or head[24] != 16 or head[25] == grey:
        return None
    try:
        from imagecodecs import png_decode
    except ImportError:
        raise ValueError(
            f"{path}: reading a PNG of 16-bit colours needs imagecodecs: "
            "pip install 'napari-cosynth[gui]'"
        ) from None
    pixels = np.asarray(png_decode(path.read_bytes()))
    if pixels.shape[2] == 2:
        return opaque(pixels[..., 0], pixels[..., 1])
    return opaque(pixels[..., :3], pixels[..., 3:]) if pixels.shape[2] == 4 else pixels
