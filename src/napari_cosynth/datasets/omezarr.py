"""OME-Zarr (NGFF 0.4 and 0.5) of RGB images with labels (docs/formats/omezarr.md)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.instances import instance_ids, whole_numbers
from napari_cosynth.foreign.zarr_files import is_group
from napari_cosynth.io.errors import unreadable
from napari_cosynth.io.listing import folders_in, name_of
from napari_cosynth.records.base import NamedRecords, Parts
from napari_cosynth.records.sidecar import read_sidecar
from napari_cosynth.slides.files import eight_bits, select
from napari_cosynth.slides.ome_zarr_metadata import (
    OmeImage,
    image_groups,
    label_classes,
    read_image,
)
from napari_cosynth.slides.pyramid import check_size
from napari_cosynth.types import H_AND_E, ClassTable

ASSUMED_MPP = 0.25
UNCLASSIFIED = "unspecified"
MOST_PLANES = 1_000_000
Place = Mapping[str, int]
"""Index of a plane along t and z; empty if the image has only one plane."""

logger = logging.getLogger(__name__)


class OmeZarrDataset(NamedRecords):
    """An image, a series of them (``bioformats2raw.layout``) or a folder of ``.zarr``.

    An image has three channels of 8 or 16 bits (``slides.files.eight_bits``) over axes c, y, x. Its first
    level is read on access. An image with several t or z is a stack: each plane is a record, named
    ``NAME_00000`` and so on, and its labels have as many planes. If there are several images, those
    without labels, such as a scanner's overview, are left out with a warning.

    Instances are the label image that ``instances`` names, else the one called "instances", else the only
    one. Their classes come from ``class`` in ``image-label``'s properties, else from a label image
    ``classes`` whose own properties name its values; else all nuclei have one class. µm/px is the scale
    of the first level, if it is in a unit of length.
    """

    def __init__(
        self,
        root: str | Path,
        mpp: float | None = None,
        tissue: str = "",
        instances: str = "",
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        self.own = read_sidecar(self.root, "omezarr")
        self.mpp, self.tissue, self._label = mpp, tissue, instances
        self._images: dict[str, tuple[OmeImage, Place]] = {}
        images = _images(self.root)
        if self.own and len(self.own.names) != len(images):
            raise ValueError(
                f"{self.root}: expected the {len(self.own.names)} images of its cosynth.json, got "
                f"{len(images)}"
            )
        for number, image in enumerate(images):
            name = self.own.names[number] if self.own else _name(image, number, len(images))
            if len(images) > 1 and not image.labels:
                logger.warning("%s: no labels: left out", image.path)
                continue
            for suffix, place in _planes(image):
                if name + suffix in self._images:
                    raise ValueError(f"{image.path}: another image is called {name!r} too")
                self._images[name + suffix] = image, place
        if not self._images:
            raise ValueError(f"{self.root}: labels: none of its {len(images)} images has any")
        self.names = tuple(select(self._images, only, without, self.root))
        first, _ = self._images[self.names[0]]
        self.mpp_stated = mpp is not None or first.mpp is not None
        self.classes = self.own.classes if self.own else self._classes_that_occur()

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return is_group(root) or bool(_groups_in(root))

    def tissue_of(self, name: str) -> str:
        return self.own_text(name, "tissue", self.tissue)

    def parts(self, name: str) -> Parts:
        image, place = self._images[name]
        planes = _level(image, place)
        where = str(image.path)
        if planes.ndim == 2:
            planes = np.stack([planes] * 3)
        if planes.shape[0] != 3:
            raise ValueError(f"{where}: expected 3 channels, got {planes.dtype} {planes.shape}")
        pixels = eight_bits(np.ascontiguousarray(np.moveaxis(planes, 0, -1)), where, self.root)
        label = self._instances(image)
        if (found := _lengths(label)) != (wanted := _lengths(image)):
            raise ValueError(
                f"{label.path}: axes: expected as many planes as the image, {wanted}, got {found}"
            )
        stored = _values(label, place, planes.shape[1:])
        return Parts(
            pixels,
            instance_ids(stored, str(label.path)),
            self._labels(image, place, label, stored),
            self.mpp or image.mpp or ASSUMED_MPP,
            self.tissue_of(name),
            where,
            self.own_text(name, "stain", H_AND_E),
            labelled=str(label.path),
        )

    def _instances(self, image: OmeImage) -> OmeImage:
        labels = image.labels
        wanted = self._label or ("instances" if "instances" in labels else "")
        if not wanted and len(labels) == 1:
            (wanted,) = labels
        if wanted not in labels:
            raise ValueError(
                f"{image.path}: labels: expected {wanted or 'one image'}, got "
                f"{', '.join(labels) or 'none'}; --instances (in a recipe: instances) names one"
            )
        return read_image(labels[wanted])

    def _kinds(self, image: OmeImage, label: OmeImage) -> tuple[dict[int, str], OmeImage]:
        """Value -> class, and the label image that holds the values: the instances, or ``classes``."""
        kinds, _ = label_classes(label)
        if not kinds and (path := image.labels.get("classes")):
            label = read_image(path)
            kinds, _ = label_classes(label)
        return kinds, label

    def _labels(
        self,
        image: OmeImage,
        place: Place,
        label: OmeImage,
        stored: npt.NDArray[Any],
    ) -> npt.NDArray[np.uint8]:
        """Classes per pixel, uint8 (H, W); ``stored`` are the instance ids as the file has them."""
        kinds, source = self._kinds(image, label)
        if not kinds:
            return (stored > 0).astype(np.uint8)
        values = stored if source is label else _values(source, place, stored.shape)
        found, position = np.unique(values, return_inverse=True)
        table = np.zeros(len(found), np.uint8)
        for index, value in enumerate(found.tolist()):
            if value and value in kinds:
                table[index] = self.classes.index(kinds[value])
        return table[position].reshape(values.shape)

    def _classes_that_occur(self) -> ClassTable:
        names: set[str] = set()
        for name in self.names:
            image, _ = self._images[name]
            kinds, _ = self._kinds(image, self._instances(image))
            names |= set(kinds.values())
        return ClassTable.of(*(sorted(names) or (UNCLASSIFIED,)))


def _images(root: Path) -> list[OmeImage]:
    """The images at a path, in order. Raises ValueError if there are none."""
    paths = [root] if is_group(root) else _groups_in(root)
    if not paths:
        raise ValueError(f"{root}: no OME-Zarr image in it")
    return [read_image(group) for path in paths for group in image_groups(path)]


def _groups_in(folder: Path) -> list[Path]:
    return [path for path in folders_in(folder, ".zarr") if is_group(path)]


def _name(image: OmeImage, number: int, count: int) -> str:
    if image.path.suffix.lower() == ".zarr":
        return name_of(image.path)
    return image.name if image.name and count > 1 else str(number)


def _planes(image: OmeImage) -> Iterator[tuple[str, Place]]:
    """(suffix of the record's name, place) of each plane of an image; a single plane has no suffix."""
    lengths = _lengths(image)
    if (count := int(np.prod([*lengths.values()], dtype=object))) > MOST_PLANES:
        raise ValueError(f"{image.path}: expected at most {MOST_PLANES} planes, got {count}")
    for number, place in enumerate(np.ndindex(*lengths.values())):
        yield f"_{number:05d}" if lengths else "", dict(zip(lengths, place, strict=True))


def _lengths(image: OmeImage) -> dict[str, int]:
    """The lengths of t and z, if above 1, by axis."""
    sizes = zip(image.axes, image.array().shape, strict=True)
    return {axis: size for axis, size in sizes if axis in ("t", "z") and size > 1}


def _values(label: OmeImage, place: Place, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """A plane of a label image, (H, W), whole numbers >= 0 as they are stored."""
    values = _level(label, place)
    plane = np.moveaxis(values, 0, -1) if values.ndim == 3 else values
    plane = whole_numbers(plane, str(label.path))
    if plane.shape != shape:
        raise ValueError(f"{label.path}: expected {shape} as its image has, got {plane.shape}")
    return plane


def _level(image: OmeImage, place: Place) -> npt.NDArray[Any]:
    """A plane of the first level as (c, y, x) or (y, x)."""
    array = image.array()
    check_size(image.path, array.shape[-2:], array.chunks, array.dtype.itemsize)
    index = tuple(slice(None) if a in ("c", "y", "x") else place.get(a, 0) for a in image.axes)
    try:
        data = np.asarray(array[index])
    except Exception as error:  # zarr raises what it likes on damaged files
        raise unreadable(image.path, "cannot be read", error) from None
    return data[0] if data.ndim == 3 and data.shape[0] == 1 else data
