"""OME-Zarr metadata for slides and data sets, checked: images, levels, pixel sizes, labels.

The format: https://ngff.openmicroscopy.org/0.5/. Its maintained parsers, yaozarrs and ome-zarr-models,
validate strictly. They refuse an image without a scale, ``labels: null``, and files without the
transformations that other programs leave out. They neither convert units to µm nor look which labels
exist. This module takes what is written, and what is absent stays unknown.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from napari_cosynth.foreign.zarr_files import attributes_of, inside, is_group, open_array
from napari_cosynth.io.errors import shown
from napari_cosynth.io.settings import parse
from napari_cosynth.io.units import micrometres, plausible_mpp

logger = logging.getLogger(__name__)

VERSIONS = ("0.3", "0.4", "0.5")
SERIES = "bioformats2raw.layout"


@dataclass(frozen=True)
class Axis:
    name: str
    type: str | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Transformation:
    type: str
    scale: tuple[float, ...] | None = None
    translation: tuple[float, ...] | None = None
    path: str | None = None
    """Path of an array that holds the numbers."""


@dataclass(frozen=True)
class Level:
    path: str
    coordinateTransformations: tuple[Transformation, ...] | None = None


@dataclass(frozen=True)
class Multiscale:
    """One entry of ``multiscales``, as it is written."""

    axes: tuple[Axis | str, ...]
    """Axes; plain names until version 0.3."""
    datasets: tuple[Level, ...]
    coordinateTransformations: tuple[Transformation, ...] | None = None
    name: Any = None


@dataclass(frozen=True)
class OmeImage:
    """An image or a label image whose metadata are read and checked, and whose arrays are not."""

    path: Path
    attributes: Mapping[str, Any]
    axes: tuple[str, ...]
    """Names of the axes: some of t, c, z, then y, x."""
    levels: tuple[str, ...]
    """Paths of its arrays, the largest first."""
    mpp: float | None
    """µm/px of the first level; None if it has no scale or no unit of length."""
    origin: tuple[float, float]
    """(y, x) of the centre of pixel (0, 0), in µm if ``mpp`` is known, else in pixels."""
    name: str = ""

    def array(self, level: int = 0) -> Any:
        """The zarr array of a level. Raises ValueError naming it if its axes are not those named."""
        path = inside(self.path, self.levels[level])
        array = open_array(path)
        if len(array.shape) != len(self.axes):
            axes = list(self.axes)
            raise ValueError(f"{path}: expected {len(axes)} axes {axes}, got shape {array.shape}")
        return array

    @cached_property
    def labels(self) -> dict[str, Path]:
        """The existing label images by name: those that are listed, then any others.

        A listed one that does not exist is left out with a warning.
        """
        found, gone = self._listed()
        for name in gone:
            logger.warning("%s: labels: %r is listed, and not there", self.path / "labels", name)
        return found

    def has_labels(self) -> bool:
        """Whether any label image exists; does not warn of missing ones, unlike :attr:`labels`."""
        return bool(self._listed()[0])

    def _listed(self) -> tuple[dict[str, Path], list[str]]:
        """The existing label images, and the names of those that are listed but do not exist."""
        folder = self.path / "labels"
        if not folder.is_dir():
            return {}, []
        listed = attributes_of(folder).get("labels") if is_group(folder) else None
        found: dict[str, Path] = {}
        gone = []
        for name in listed if isinstance(listed, list) else ():
            if not isinstance(name, str):
                raise ValueError(f"{folder}: labels: expected names, got {name!r}")
            if is_group(path := inside(folder, name)):
                found[name] = path
            else:
                gone.append(name)
        for path in sorted(folder.iterdir()):
            if path.name not in found and is_image(path):
                found[path.name] = path
        return found, gone


def is_image(path: Path) -> bool:
    """Whether a folder's metadata describe an OME-Zarr image; its content is not checked."""
    try:
        return "multiscales" in attributes_of(path)
    except ValueError:
        return False


def image_groups(path: Path) -> list[Path]:
    """The groups of a folder's images, in order: the folder itself, or the images of its series.

    Raises ValueError naming the file if there are none.
    """
    attributes = attributes_of(path) if (path / "zarr.json").is_file() else {}
    if (path / ".zattrs").is_file():
        attributes = attributes_of(path)
    if "multiscales" in attributes:
        return [path]
    listed = attributes_of(path / "OME").get("series") if is_group(path / "OME") else None
    if isinstance(listed, list) and listed:
        names = parse(tuple[str, ...], listed, f"{path / 'OME'}: series")
        return [inside(path, name) for name in names]
    numbered = [p for p in path.iterdir() if p.name.isdecimal() and is_image(p)]
    if not numbered:
        what = next((w for w in ("plate", "well") if w in attributes), "group")
        raise ValueError(f"{path}: multiscales: missing; expected an OME-Zarr image, got a {what}")
    return sorted(numbered, key=lambda p: int(p.name))


def read_image(path: Path) -> OmeImage:
    """The metadata of an image. Raises ValueError naming file and field if they are damaged."""
    attributes = attributes_of(path)
    entries = attributes.get("multiscales")
    if not isinstance(entries, list) or not entries or not isinstance(entries[0], dict):
        raise ValueError(f"{path}: multiscales: missing; expected an OME-Zarr image")
    version = attributes.get("version") or entries[0].get("version") or VERSIONS[-2]
    if not str(version).startswith(VERSIONS):
        known = f"{', '.join(VERSIONS[:-1])} or {VERSIONS[-1]}"
        raise ValueError(f"{path}: version: expected {known}, got {version!r}")
    multiscale = parse(Multiscale, entries[0], f"{path}: multiscales")
    axes = tuple(a if isinstance(a, Axis) else Axis(a) for a in multiscale.axes)
    names = [axis.name for axis in axes]
    if names[-2:] != ["y", "x"] or not set(names) <= set("tczyx") or len(set(names)) < len(names):
        raise ValueError(
            f"{path}: axes: expected some of t, c, z and then y, x, got {shown(names)}"
        )
    if not multiscale.datasets:
        raise ValueError(f"{path}: datasets: expected at least one level")
    mpp, origin = _grid(path, multiscale, axes)
    levels = tuple(level.path for level in multiscale.datasets)
    name = multiscale.name if isinstance(multiscale.name, str) else ""
    return OmeImage(path, attributes, tuple(names), levels, mpp, origin, name)


def _grid(
    path: Path, multiscale: Multiscale, axes: tuple[Axis, ...]
) -> tuple[float | None, tuple[float, float]]:
    """µm/px of the first level, and the centre of its pixel (0, 0), as in :class:`OmeImage`."""
    scale, shift, scaled = np.ones(2), np.zeros(2), False
    whole = (
        *(multiscale.datasets[0].coordinateTransformations or ()),
        *(multiscale.coordinateTransformations or ()),
    )
    for part in whole:
        if part.type == "identity":
            continue
        values = {"scale": part.scale, "translation": part.translation}.get(part.type)
        if values is None and part.path is not None and part.type in ("scale", "translation"):
            values = _stored(inside(path, part.path.lstrip("/")), len(axes))
        if values is None or len(values) != len(axes) or not np.isfinite(values).all():
            raise ValueError(
                f"{path}: coordinateTransformations: expected a scale or translation of "
                f"{len(axes)} numbers, got {part.type} {values}"
            )
        last = np.array(values[-2:])
        if part.type == "scale":
            if (last <= 0).any():
                raise ValueError(f"{path}: scale: expected numbers above 0, got {shown(values)}")
            scale, shift, scaled = scale * last, shift * last, True
        else:
            shift = shift + last
    units = [micrometres(axis.unit) for axis in axes[-2:]]
    if scaled and units[0] is not None and units[1] is not None:
        mpp = plausible_mpp(scale[1] * units[1], scale[0] * units[0])
        if mpp is not None:
            return mpp, (float(shift[0] * units[0]), float(shift[1] * units[1]))
    return None, (float(shift[0] / scale[0]), float(shift[1] / scale[1]))


def _stored(path: Path, count: int) -> tuple[float, ...]:
    array = open_array(path)
    if array.shape != (count,):
        raise ValueError(f"{path}: expected {count} numbers, got shape {array.shape}")
    return tuple(float(value) for value in array[:])


def label_classes(image: OmeImage) -> tuple[dict[int, str], dict[int, tuple[float, ...]]]:
    """Label -> class, and label -> RGBA in 0..1, as far as ``image-label`` states them.

    Raises ValueError naming the file if it is damaged.
    """
    about = image.attributes.get("image-label") or {}
    classes: dict[int, str] = {}
    colors: dict[int, tuple[float, ...]] = {}
    try:
        for entry in about.get("properties") or ():
            if entry.get("class") is not None:
                classes[int(entry["label-value"])] = str(entry["class"])
        for entry in about.get("colors") or ():
            if entry.get("rgba") is not None:
                colors[int(entry["label-value"])] = tuple(float(v) / 255 for v in entry["rgba"])
        if any(len(color) != 4 for color in colors.values()):
            raise ValueError("a colour of other than four numbers")
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{image.path}: image-label: {error}") from None
    return classes, colors
