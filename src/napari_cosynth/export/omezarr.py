"""OME-Zarr 0.4 with an image and its labels for each sample (docs/formats/omezarr.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.transform import downscale_local_mean

from napari_cosynth.export.base import Item, exporting
from napari_cosynth.geometry.measure import majority_classes
from napari_cosynth.types import Record

VERSION = "0.4"
CHUNK = 1024
SMALLEST = 512
"""Levels are halved until both sides are at most this many pixels."""
_CHANNELS = (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))


def write_omezarr(items: Iterable[Item], path: Path, overwrite: bool = False) -> Path:
    """Writes the images ``0``, ``1``, ... of one OME-Zarr in the ``bioformats2raw.layout``.

    Each is uint8 (3, H, W) over c, y, x, scaled in µm, with the labels ``instances`` int32 (H, W) and
    ``classes`` uint8 (H, W). ``image-label`` gives every instance its class and every class its colour.
    Raises ValueError naming the extra if zarr is missing.
    """
    try:
        import zarr
    except ImportError as error:
        raise ValueError(
            f"OME-Zarr needs {error.name}: pip install 'napari-cosynth[gui]'"
        ) from None

    with exporting(items, path, "omezarr", overwrite) as (folder, samples):
        root = zarr.open_group(folder, mode="a", zarr_format=2)
        root.attrs["bioformats2raw.layout"] = 3
        for sample in samples:
            record = sample.record
            image = root.create_group(str(sample.index))
            _write_levels(image, sample.name, np.moveaxis(record.image, -1, 0), record.mpp)
            image.attrs["omero"] = {
                "version": VERSION,
                "channels": [
                    {
                        "label": name,
                        "color": color,
                        "active": True,
                        "window": {"min": 0, "max": 255, "start": 0, "end": 255},
                    }
                    for name, color in _CHANNELS
                ],
                "rdefs": {"model": "color"},
            }
            labels = image.create_group("labels")
            labels.attrs["labels"] = ["instances", "classes"]
            for name, array in (("instances", record.instances), ("classes", record.labels)):
                group = labels.create_group(name)
                _write_levels(group, name, array, record.mpp)
                group.attrs["image-label"] = _image_label(record, name)
        series = [str(i) for i in range(sample.index + 1)]
        (folder / "OME").mkdir()
        (folder / "OME" / ".zgroup").write_text('{"zarr_format": 2}')
        (folder / "OME" / ".zattrs").write_text(json.dumps({"series": series}))
    return Path(path)


def _image_label(record: Record, name: str) -> dict[str, Any]:
    names, colors = record.classes.names, record.classes.colors.tolist()
    if name == "classes":
        classes = dict(enumerate(range(1, len(names)), start=1))
    else:
        ids = majority_classes(record.instances, record.labels, len(names))
        classes = {i: int(c) for i, c in enumerate(ids, start=1) if c}
    return {
        "version": VERSION,
        "colors": [{"label-value": i, "rgba": [*colors[c], 255]} for i, c in classes.items()],
        "properties": [{"label-value": i, "class": names[c]} for i, c in classes.items()],
        "source": {"image": "../../"},
    }


def _write_levels(group: Any, name: str, array: npt.NDArray[Any], mpp: float) -> None:
    """Writes labels (H, W) or an image (3, H, W) as a pyramid, each level half the one before."""
    from numcodecs import Zlib

    channels = array.ndim == 3
    datasets: list[dict[str, Any]] = []
    factor = 1
    while True:
        level = array if factor == 1 else _halved(array, channels)
        array = level
        path = str(len(datasets))
        stored = group.create_array(
            path,
            shape=level.shape,
            dtype=level.dtype,
            chunks=(*level.shape[:-2], *(min(CHUNK, n) for n in level.shape[-2:])),
            compressors=Zlib(level=5),
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        stored[...] = level
        # The centre of the first pixel of a level s times coarser lies (s - 1) / 2 pixels further in.
        lead = [1.0] if channels else []
        scale, shift = mpp * factor, mpp * (factor - 1) / 2
        datasets.append(
            {
                "path": path,
                "coordinateTransformations": [
                    {"type": "scale", "scale": [*lead, scale, scale]},
                    {"type": "translation", "translation": [*(0.0 for _ in lead), shift, shift]},
                ],
            }
        )
        if max(level.shape[-2:]) <= SMALLEST:
            break
        factor *= 2
    space = [{"name": n, "type": "space", "unit": "micrometer"} for n in "yx"]
    axes = [{"name": "c", "type": "channel"}, *space] if channels else space
    group.attrs["multiscales"] = [
        {"version": VERSION, "name": name, "axes": axes, "datasets": datasets}
    ]


def _halved(array: npt.NDArray[Any], channels: bool) -> npt.NDArray[Any]:
    """An array at half its size: area means of an image, every second pixel of labels.

    An odd last row or column is dropped.
    """
    height, width = (n - n % 2 for n in array.shape[-2:])
    even = array[..., :height, :width]
    if not channels:
        return np.ascontiguousarray(even[..., ::2, ::2])
    mean = downscale_local_mean(even, (1, 2, 2))
    return np.asarray(mean.round(), array.dtype)
