"""OME-Zarr images (versions 0.4 and 0.5) and their labels, read lazily by zarr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_cosynth.foreign.zarr_files import attributes_of
from napari_cosynth.slides.ome_zarr_metadata import (
    SERIES,
    OmeImage,
    image_groups,
    label_classes,
    read_image,
)
from napari_cosynth.slides.pyramid import LazyLevel, Slide, SlideFacts, with_overview

_RGB = ("FF0000", "00FF00", "0000FF")


@dataclass(frozen=True)
class Plane:
    """One channel, or RGB, which a viewer shows as one layer."""

    name: str
    levels: tuple[Any, ...]
    """Array-likes (H, W, 3) uint8, or (H, W) of any number type, largest first."""
    mpp: float | None
    origin: tuple[float, float]
    """(y, x) of the centre of pixel (0, 0), in µm if ``mpp`` is known, else in pixels."""
    color: str | None = None
    """RRGGBB of a channel, if the file states it."""


@dataclass(frozen=True)
class LabelPlane(Plane):
    """One image of the ``labels`` group: (H, W) of integers."""

    classes: Mapping[int, str] = field(default_factory=dict)
    """Label -> class, if the file states it."""
    colors: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    """Label -> RGBA in 0..1."""


@dataclass(frozen=True)
class OmeZarr:
    """An open image with its labels."""

    path: Path
    planes: tuple[Plane, ...]
    labels: tuple[LabelPlane, ...]
    compression: str
    """The codecs of the first level, in words."""
    stored: int
    """Levels in the file."""

    def slide(self) -> Slide:
        """The image as a slide. Raises ValueError if it is no 8-bit RGB or grey image."""
        first = self.planes[0]
        if len(self.planes) > 1 or first.levels[0].dtype != np.uint8:
            raise ValueError(
                f"{self.path}: expected an 8-bit RGB or grey image, got {len(self.planes)} "
                f"channels of {first.levels[0].dtype}; what is needed is red, green and blue as uint8"
            )
        facts = SlideFacts(
            "OME-Zarr",
            "",
            self.compression,
            "the scale and its units" if first.mpp else "",
            self.stored,
        )
        return Slide(first.levels, first.mpp, self.path, facts)


def is_ome_zarr(path: Path) -> bool:
    """Whether a folder is an OME-Zarr image or series by its metadata; its content is not checked.

    A folder whose metadata cannot be read counts as one, so that opening it reports the fault.
    """
    try:
        return bool({"multiscales", SERIES} & set(attributes_of(path)))
    except ValueError:
        return (path / "zarr.json").is_file() or (path / ".zattrs").is_file()


def open_ome_zarr(path: Path) -> OmeZarr:
    """Opens an image and its labels, in a folder of several images (bioformats2raw) the largest.

    Raises ValueError naming file and field if something is missing, damaged or not supported.
    """
    images = [read_image(group) for group in image_groups(path)]
    # The first image is often the scanner's overview or its picture of the label.
    sizes = [int(np.prod(image.array().shape[-2:], dtype=object)) for image in images]
    image = images[sizes.index(max(sizes))]
    labels = [_label_plane(read_image(group), name) for name, group in image.labels.items()]
    codecs = [type(codec).__name__ for codec in image.array().compressors]
    return OmeZarr(
        image.path,
        _planes(image),
        tuple(labels),
        ", ".join(name.removesuffix("Codec") for name in codecs) or "none",
        len(image.levels),
    )


def _planes(image: OmeImage) -> tuple[Plane, ...]:
    path, names, mpp, origin = image.path, image.axes, image.mpp, image.origin
    stores = [image.array(index) for index in range(len(image.levels))]
    for name, store in zip(image.levels, stores, strict=True):
        _require_one_plane(path / name, names, store.shape)
    count = stores[0].shape[names.index("c")] if "c" in names else 1
    omero = image.attributes.get("omero", {})
    channels = omero.get("channels") if isinstance(omero, dict) else None
    known = [c if isinstance(c, dict) else {} for c in channels or ()]
    colors = [str(c.get("color", "")).upper() for c in known]
    if count == 3 and stores[0].dtype == np.uint8 and tuple(colors[:3]) in ((), _RGB):
        levels = [_lazy(store, names, slice(0, 3), path).as_array() for store in stores]
        return (Plane(path.stem, with_overview(levels, path), mpp, origin),)
    planes = []
    for channel in range(count):
        levels = [_lazy(store, names, channel, path).as_array() for store in stores]
        label = str(known[channel].get("label", "")) if channel < len(known) else ""
        name = path.stem if count == 1 else f"{path.stem} {label or channel}"
        color = colors[channel] if channel < len(colors) and len(colors[channel]) == 6 else None
        planes.append(Plane(name, with_overview(levels, path), mpp, origin, color))
    return tuple(planes)


def _label_plane(image: OmeImage, name: str) -> LabelPlane:
    planes = _planes(image)
    if len(planes) != 1 or planes[0].levels[0].dtype.kind not in "ui":
        raise ValueError(f"{image.path}: expected one channel of integers")
    (plane,) = planes
    classes, colors = label_classes(image)
    return LabelPlane(name, plane.levels, plane.mpp, plane.origin, None, classes, colors)


def _require_one_plane(path: Path, names: Sequence[str], shape: tuple[int, ...]) -> None:
    for name, size in zip(names, shape, strict=True):
        if name in "tz" and size != 1:
            raise ValueError(f"{path}: expected one plane, got {size} along {name}")
        if name == "c" and not 1 <= size <= 100:
            raise ValueError(f"{path}: expected 1 to 100 channels, got {size}")


def _lazy(store: Any, names: Sequence[str], channel: int | slice, path: Path) -> LazyLevel:
    """A level as (H, W), or (H, W, 3) for a slice of channels."""
    rgb = isinstance(channel, slice)
    lead = tuple(channel if name == "c" else 0 for name in names[:-2])

    def read(window: tuple[slice, ...]) -> Any:
        part = np.asarray(store[(*lead, *window[:2])])
        return np.moveaxis(part, 0, -1)[..., window[2]] if rgb else part

    height, width = store.shape[-2:]
    rows, columns = store.chunks[-2:]
    depth = int(np.prod(store.chunks[:-2], dtype=object))
    shape = (height, width, 3) if rgb else (height, width)
    tile = (rows, columns, max(depth, 3)) if rgb else (rows, columns, depth)
    return LazyLevel(shape, store.dtype, tile, read, path)
