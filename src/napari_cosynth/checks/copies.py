"""Copies among many images, also turned or flipped ones, by perceptual hashes (pHash, Zauner 2010)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.fft import dctn
from skimage.transform import resize_local_mean

SIDE = 32
"""Side of the thumbnail that is hashed, in pixels."""
NEAR = 4
"""Most bits of 64 in which the hashes of copies differ."""
ALIKE = 0.9
"""Least correlation of the thumbnails of copies."""
FLAT = 2.0
"""Least standard deviation of a thumbnail in grey levels; flatter ones look all alike."""
_BANDS = NEAR + 1


def thumbnail(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The grey thumbnail of an image (H, W, 3), float32 (32, 32), by area means."""
    grey = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray(resize_local_mean(grey, (SIDE, SIDE)), np.float32)


def perceptual_hash(small: npt.NDArray[np.floating]) -> int:
    """The 64-bit hash of a thumbnail: which of its 8 x 8 lowest cosine coefficients exceed the median."""
    low = dctn(small, norm="ortho")[:8, :8].ravel()
    bits = low > np.median(low[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def symmetries(small: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """A square array in its eight orientations."""
    turned = [np.rot90(small, k) for k in range(4)]
    return [*turned, *(t.T for t in turned)]


class Copies:
    """Index of the images seen so far, which finds copies of the next; keeps about 1 kB an image."""

    def __init__(self) -> None:
        self._keys: list[tuple[str, str]] = []
        self._hashes: list[int] = []
        self._small: list[npt.NDArray[np.uint8]] = []
        self._bands: dict[tuple[int, int], list[int]] = {}

    def add(self, key: tuple[str, str], image: npt.NDArray[np.uint8]) -> list[tuple[str, str]]:
        """Adds an image and returns the keys (split, name) of the earlier images that it copies.

        Flat images are not added.
        """
        small = thumbnail(image)
        if small.std() < FLAT:
            return []
        found: dict[int, None] = {}
        for turned in symmetries(small):
            code = perceptual_hash(turned)
            # Codes that differ in at most 4 bits agree in at least one of 5 bands.
            near = {i for band in _bands(code) for i in self._bands.get(band, ())}
            for index in near:
                if (code ^ self._hashes[index]).bit_count() <= NEAR and _alike(
                    turned, self._small[index]
                ):
                    found[index] = None
        code = perceptual_hash(small)
        for band in _bands(code):
            self._bands.setdefault(band, []).append(len(self._keys))
        self._keys.append(key)
        self._hashes.append(code)
        self._small.append(small.round().astype(np.uint8))
        return [self._keys[index] for index in sorted(found)]


def _bands(code: int) -> list[tuple[int, int]]:
    """The bands of a hash, each with its number."""
    width = -(-64 // _BANDS)
    return [(n, (code >> (n * width)) & ((1 << width) - 1)) for n in range(_BANDS)]


def _alike(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) >= ALIKE
