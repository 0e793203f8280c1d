"""Samples of a TIFF page -> RGB or grey, by the page's tags; for slides and tiles alike.

Photometric interpretations are those of TIFF 6.0 (Adobe 1992): grey with black or white as 0, RGB,
palettes, CMYK and YCbCr, planar or interleaved. An alpha channel is blended onto white. Others, such as
Lab, are refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.io.tiff import JPEG

MINISWHITE, MINISBLACK, RGB, PALETTE, SEPARATED, YCBCR = 0, 1, 2, 3, 5, 6
_COLOURS = {MINISWHITE: 1, MINISBLACK: 1, RGB: 3, PALETTE: 1, SEPARATED: 4, YCBCR: 3}
"""Samples of a pixel without the extra ones, by photometric interpretation."""
_PLANAR = ("SYX", "CYX")
_AXES = ("YX", "YXS", *_PLANAR)
_YCBCR_JPEG_2000 = 33003
_DECODED = (*JPEG, 50001)
"""JPEG and WebP, whose decoders return RGB although the tags say YCbCr."""
_CMYK = 1
_ASSOCIATED, _UNASSOCIATED = 1, 2


@dataclass(frozen=True)
class Samples:
    """Conversion of a series: :meth:`window` says what to read, :meth:`pixels` makes colours of it."""

    photometric: int
    planar: bool
    count: int
    """Samples of a pixel; 0 if the series has no axis of samples."""
    colours: int
    """Samples of a pixel without the extra ones."""
    alpha: int
    """Code of the first extra sample if it is an alpha channel, else 0."""
    palette: npt.NDArray[np.uint8] | None
    """RGB of each index, uint8 (256, 3); None without a palette."""
    luma: tuple[float, float, float]
    """Shares of red, green and blue in Y."""
    blacks_and_whites: tuple[float, ...]
    """Codes of the least and the greatest Y, Cb and Cr."""
    shape: tuple[int, ...]
    """(H, W, 3), or (H, W) of a grey image."""
    dtype: np.dtype[Any]
    """Type of the result of :meth:`pixels`."""

    def window(self, window: tuple[slice, ...]) -> tuple[slice, ...]:
        """The index into the samples for a window (rows, columns, ...) of the image."""
        rows, columns = window[:2]
        if not self.count:
            return rows, columns
        every = slice(0, self.count)
        return (every, rows, columns) if self.planar else (rows, columns, every)

    def pixels(self, samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Samples of a window -> RGB (H, W, 3) or grey (H, W), uint8, or uint16 of a 16-bit file."""
        if self.planar:
            samples = np.moveaxis(samples, 0, -1)
        if not self.count:
            return self._colour(samples[..., None])
        made = self._colour(samples[..., : self.colours])
        return made if not self.alpha else self._opaque(made, samples[..., self.colours])

    def _colour(self, colour: npt.NDArray[Any]) -> npt.NDArray[Any]:
        full = np.iinfo(colour.dtype).max if colour.dtype.kind == "u" else 255
        if self.palette is not None:
            return np.asarray(self.palette[colour[..., 0]])
        if self.photometric == MINISWHITE:
            return np.asarray(full - colour[..., 0])
        if self.photometric == SEPARATED:
            ink = full - colour.astype(np.uint32)
            return ((ink[..., :3] * ink[..., 3:] + full // 2) // full).astype(colour.dtype)
        if self.photometric == YCBCR:
            return self._from_ycbcr(colour)
        return colour[..., 0] if self.colours == 1 else colour

    def _from_ycbcr(self, colour: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        blacks, whites = (np.array(self.blacks_and_whites[k::2], np.float32) for k in (0, 1))
        scale = np.array([255, 127, 127], np.float32) / (whites - blacks)
        y, cb, cr = np.moveaxis((colour.astype(np.float32) - blacks) * scale, -1, 0)
        red_share, green_share, blue_share = self.luma
        red = cr * (2 - 2 * red_share) + y
        blue = cb * (2 - 2 * blue_share) + y
        green = (y - blue_share * blue - red_share * red) / green_share
        return np.stack([red, green, blue], -1).round().clip(0, 255).astype(np.uint8)

    def _opaque(self, colour: npt.NDArray[Any], alpha: npt.NDArray[Any]) -> npt.NDArray[Any]:
        part = alpha[..., None] if colour.ndim == 3 else alpha
        return opaque(colour, part, premultiplied=self.alpha == _ASSOCIATED)


def opaque(
    colour: npt.NDArray[Any],
    alpha: npt.NDArray[Any],
    background: npt.NDArray[Any] | None = None,
    premultiplied: bool = False,
) -> npt.NDArray[Any]:
    """Colours blended onto a background, white if None, by ``alpha``; both of one unsigned type."""
    full = np.iinfo(alpha.dtype).max
    if alpha.min(initial=full) == full:
        return colour
    part = alpha.astype(np.float32) / full
    shown = colour.astype(np.float32) if premultiplied else colour * part
    under = np.float32(full) if background is None else background.astype(np.float32)
    return (shown + under * (1 - part)).round().clip(0, full).astype(colour.dtype)


def samples_of(path: Path, series: Any) -> Samples:
    """The conversion for a series. Raises ValueError naming the file and an unsupported content."""
    page, axes, shape = series.keyframe, series.axes, tuple(series.shape)
    photometric, dtype = int(page.photometric), series.dtype
    what = f"{path}: expected an 8-bit RGB or grey image, got {dtype} {axes} {shape}"
    if axes not in _AXES or (axes == "CYX" and shape[0] != 3):
        raise ValueError(what)
    planar = axes in _PLANAR
    count = shape[0] if planar else shape[2] if axes == "YXS" else 0
    size = shape[1:] if planar else shape[:2]
    name = getattr(page.photometric, "name", photometric)
    if photometric not in _COLOURS or page.compression == _YCBCR_JPEG_2000:
        named = "YCbCr in JPEG 2000" if photometric in _COLOURS else name
        raise ValueError(f"{path}: colours of the photometric interpretation {named} are not read")
    if photometric == YCBCR and page.compression in _DECODED and not planar:
        photometric = RGB
    if photometric in (MINISBLACK, RGB) and count >= 3:  # some writers call three colours grey
        photometric = RGB
    colours = _COLOURS[photometric]
    extra = count - colours if count else 0
    if extra not in (0, 1) or colours > max(count, 1):
        raise ValueError(f"{what}, {count} samples of {name}")
    if photometric == SEPARATED and int(_tag(page, "InkSet", _CMYK)) != _CMYK:
        raise ValueError(f"{path}: inks other than CMYK are not read as colours")
    if photometric in (YCBCR, PALETTE) and dtype != np.uint8:
        raise ValueError(f"{what} of {name}")
    code = int(page.extrasamples[0]) if extra and page.extrasamples else 0
    return Samples(
        photometric=photometric,
        planar=planar,
        count=count,
        colours=colours,
        alpha=code if code in (_ASSOCIATED, _UNASSOCIATED) else 0,
        palette=_palette(path, page) if photometric == PALETTE else None,
        luma=_fractions(page, "YCbCrCoefficients", (0.299, 0.587, 0.114)),
        blacks_and_whites=_fractions(page, "ReferenceBlackWhite", (0, 255, 128, 255, 128, 255)),
        shape=(*size, 3) if colours > 1 or photometric == PALETTE else size,
        dtype=dtype,
    )


def _palette(path: Path, page: Any) -> npt.NDArray[np.uint8]:
    table = page.colormap
    if table is None or table.ndim != 2 or table.shape[0] != 3:
        raise ValueError(f"{path}: ColorMap: expected a palette (3, N)")
    # The standard has 16 bits; some writers store 8.
    table = table if table.max(initial=0) < 256 else table >> 8
    whole = np.zeros((256, 3), np.uint8)
    whole[: table.shape[1]] = table.T[:256]
    return whole


def _tag(page: Any, name: str, otherwise: Any) -> Any:
    tag = page.tags.get(name)
    return otherwise if tag is None else tag.value


def _fractions(page: Any, name: str, otherwise: tuple[float, ...]) -> Any:
    """The numbers in a tag of fractions; ``otherwise`` if it is absent or damaged."""
    value = np.ravel(_tag(page, name, ()))
    if len(value) == 2 * len(otherwise) and (value[1::2] != 0).all():
        value = value[::2] / value[1::2]
    if len(value) != len(otherwise):
        return otherwise
    if len(value) == 6 and (value[::2] == value[1::2]).any():
        return otherwise
    return tuple(float(v) for v in value)
