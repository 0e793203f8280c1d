"""Label arrays of other programs: instance ids and classes per pixel, read and checked.

The same ids come in many forms: a palette, an axis of length 1, three equal channels, whole numbers as
floats, ids far above the number of nuclei. Anything else is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.io.errors import unreadable
from napari_cosynth.io.tiff import JPEG, opened_series, orientation_of, upright

LARGEST_ID = 2**31 - 1
"""Largest id that is kept; if one is larger, all ids are renumbered in their order."""
_LOSSY = ("JPEG", "MPO")


def read_label_image(path: Path) -> npt.NDArray[Any]:
    """The stored values of a TIFF, PNG, BMP or ``.npy`` file; palette images give their indices.

    Raises ValueError naming the file if it cannot be read or its content is a JPEG.
    """
    try:
        if path.suffix.lower() == ".npy":
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        if path.suffix.lower() in (".tif", ".tiff"):
            with opened_series(path) as (_, series):
                if series.keyframe.compression in JPEG:
                    raise _lossy(path)
                return np.asarray(
                    upright(_plane(series.asarray()), orientation_of(series.keyframe))
                )
        return _picture(path)
    except Exception as error:  # decoders raise what they like on damaged files
        raise unreadable(path, "cannot be read as an image", error) from None


def _picture(path: Path) -> npt.NDArray[Any]:
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        if opened.format in _LOSSY:
            raise _lossy(path)
        return np.asarray(ImageOps.exif_transpose(opened))


def _lossy(path: Path) -> ValueError:
    return ValueError(
        f"{path}: a label image saved as JPEG, which is lossy: its values are not the ids that were "
        "saved; save it as PNG or TIFF"
    )


def instance_ids(array: npt.NDArray[Any], where: str) -> npt.NDArray[np.int32]:
    """Instance ids, int32 (H, W), 0 background.

    Ids are kept if none is above :data:`LARGEST_ID`; else all are renumbered in their order. Raises
    ValueError that begins with ``where`` and names a value that is no id.
    """
    plane = whole_numbers(array, where)
    if plane.max(initial=0) > LARGEST_ID:
        values, position = np.unique(plane, return_inverse=True)
        first = 0 if values[0] == 0 else 1
        return (position + first).reshape(plane.shape).astype(np.int32)
    return plane.astype(np.int32)


def class_map(array: npt.NDArray[Any], where: str, count: int) -> npt.NDArray[np.uint8]:
    """Classes per pixel, uint8 (H, W), of a table of ``count`` classes, background included.

    Raises ValueError that begins with ``where``.
    """
    plane = whole_numbers(array, where)
    if plane.max(initial=0) >= count:
        raise ValueError(f"{where}: expected classes 0..{count - 1}, got {plane.max()}")
    return plane.astype(np.uint8)


def whole_numbers(array: npt.NDArray[Any], where: str) -> npt.NDArray[Any]:
    """An array (H, W) of whole numbers >= 0, in its stored dtype, which may be a float.

    Axes of length 1 are dropped, and so are channels that repeat the first. Raises ValueError that
    begins with ``where``.
    """
    plane = _plane(np.asarray(array))
    if plane.ndim != 2 or plane.dtype.kind not in "iuf":
        raise ValueError(f"{where}: expected whole ids (H, W), got {array.dtype} {array.shape}")
    wrong = plane < 0
    if plane.dtype.kind == "f":
        wrong = ~(plane == np.floor(plane)) | wrong | np.isinf(plane)
    if wrong.any():
        y, x = np.argwhere(wrong)[0]
        raise ValueError(
            f"{where}: expected whole numbers of 0 or more as ids, got {plane[y, x]:g} at "
            f"row {y}, column {x}"
        )
    return plane


def foreground(array: npt.NDArray[Any], where: str) -> npt.NDArray[np.bool_]:
    """The pixels where a mask of booleans or ids is not 0, bool (H, W)."""
    plane = _plane(np.asarray(array))
    return plane if plane.dtype == bool and plane.ndim == 2 else whole_numbers(plane, where) > 0


def _plane(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    while array.ndim > 2 and 1 in array.shape:
        array = array.squeeze(axis=array.shape.index(1))
    if array.ndim == 3 and array.shape[2] in (3, 4) and (array[..., :3] == array[..., :1]).all():
        opaque = array.shape[2] == 3 or (array[..., 3] == array.flat[3]).all()
        return array[..., 0] if opaque else array
    return array


def of_instances(
    instances: npt.NDArray[Any], keys: Sequence[int] | npt.NDArray[Any], values: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """The value of each pixel's instance, (H, W): ``values`` (N,) for the ids ``keys`` (N,), else 0.

    Memory does not grow with the largest id.
    """
    ids, position = np.unique(instances, return_inverse=True)
    table = np.zeros(len(ids), values.dtype)
    if len(keys):
        order = np.argsort(keys)
        known = np.asarray(keys)[order]
        at = np.searchsorted(known, ids).clip(max=len(known) - 1)
        found = (known[at] == ids) & (ids != 0)
        table[found] = np.asarray(values)[order][at[found]]
    return table[position].reshape(instances.shape)
