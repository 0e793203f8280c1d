"""COCO's instances JSON with polygons and run lengths (docs/formats/coco.md)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

import numpy as np

from napari_cosynth.datasets.coco_shapes import CocoShapes
from napari_cosynth.foreign.files import holds_words, read_json
from napari_cosynth.io.errors import shown
from napari_cosynth.io.listing import files_in, find_written, name_of, written_path
from napari_cosynth.io.paths import named
from napari_cosynth.io.stack_format import DESCRIPTION
from napari_cosynth.io.units import stated_mpp
from napari_cosynth.records.base import NamedRecords, Parts
from napari_cosynth.records.sidecar import read_sidecar
from napari_cosynth.slides.files import read_rgb, select
from napari_cosynth.types import BACKGROUND, H_AND_E, ClassTable

logger = logging.getLogger(__name__)

ASSUMED_MPP = 0.25
_AT_ONCE = 4096
"""Annotations whose outlines are drawn together."""
Key: TypeAlias = int | str
"""Id of an image or a category."""
_KEYS = ('"images"', '"annotations"', '"categories"')


class CocoDataset(NamedRecords):
    """One JSON of ``images``, ``annotations`` and ``categories``, and the images it names.

    ``root`` is the file, or a folder with one such file in it or in its ``annotations``. Images lie
    beside the file, in the folder above, or in ``images`` of either. ``segmentation`` is a list of
    polygons or run lengths, compressed or not; both fill the pixels that the COCO API fills. Categories
    become classes in the order of their ids; categories of one name become one class, and one called
    background becomes our background. Where nuclei overlap, the later one wins. Crowds (``iscrowd`` 1)
    are no single nucleus and are left out.
    """

    def __init__(
        self,
        root: str | Path,
        mpp: float | None = None,
        tissue: str = "",
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.path = _annotations_file(Path(root))
        self.root = self.path.parent
        self.own = read_sidecar(self.root, "coco")
        self.tissue = tissue
        content = read_json(self.path)
        lists = {key: _list(content, key, self.path) for key in ("categories", "images")}
        self._class_ids, names = _class_ids(lists["categories"], self.path)
        try:
            self.classes = self.own.classes if self.own else ClassTable.of(*names)
        except ValueError as error:
            raise ValueError(f"{self.path}: categories: {error}") from None
        info = content.get("info")
        stated = stated_mpp(info.get("mpp")) if isinstance(info, dict) else None
        self.mpp_stated = (mpp or stated) is not None
        self.mpp = mpp or stated or ASSUMED_MPP
        self._images: dict[str, tuple[Key, Path, tuple[int, int]]] = {}
        for number, entry in enumerate(lists["images"]):
            key, file, shape = _image(entry, f"{self.path}: images: {number}")
            if (name := str(file.parent / name_of(file))) in self._images:
                raise ValueError(f"{self.path}: images: {name!r} is there twice")
            self._images[name] = key, self._find(file), shape
        self._annotations: dict[Key, list[dict[str, Any]]] = {
            key: [] for key, _, _ in self._images.values()
        }
        for entry in _list(content, "annotations", self.path):
            of = _key(entry.get("image_id"))
            if of is None or of not in self._annotations:
                wrong = entry.get("image_id")
                raise ValueError(f"{self.path}: annotations: no image has id {wrong!r}")
            self._annotations[of].append(entry)
        self.names = tuple(select(self._images, only, without, self.path))

    @classmethod
    def recognises(cls, root: Path) -> bool:
        try:
            return _annotations_file(root) is not None
        except ValueError:
            return False

    def tissue_of(self, name: str) -> str:
        return self.own_text(name, "tissue", self.tissue)

    def parts(self, name: str) -> Parts:
        key, path, shape = self._images[name]
        image = read_rgb(path)
        if image.shape[:2] != shape:
            raise ValueError(
                f"{path}: expected {shape} as {self.path.name} has it, got {image.shape}"
            )
        listed = self._annotations[key]
        classes = np.zeros(len(listed) + 1, np.uint8)
        left_out: Counter[str] = Counter()
        flat = np.zeros(shape[0] * shape[1], np.int32)
        for first in range(0, len(listed), _AT_ONCE):
            drawn = CocoShapes(shape)
            for index, annotation in enumerate(listed[first : first + _AT_ONCE], start=first + 1):
                where = f"{self.path}: annotation {annotation.get('id')}"
                category = _key(annotation.get("category_id"))
                if category not in self._class_ids:
                    got = annotation.get("category_id")
                    raise ValueError(f"{where}: category_id: {got!r} is no category")
                classes[index] = self._class_ids[category]
                if annotation.get("iscrowd"):
                    left_out["crowds"] += 1
                elif not classes[index]:
                    left_out["annotations of the background"] += 1
                else:
                    drawn.add(index, annotation.get("segmentation"), where)
            left_out["annotations that cover no pixel"] += drawn.paint_on(flat)
        if said := [f"{count} {what}" for what, count in left_out.items() if count]:
            logger.warning("%s: %s: left out: %s", self.path, name, ", ".join(said))
        instances = np.ascontiguousarray(flat.reshape(shape, order="F"))
        labels = classes[instances]
        return Parts(
            image,
            instances,
            labels,
            self.mpp,
            self.tissue_of(name),
            str(path),
            self.own_text(name, "stain", H_AND_E),
            labelled=str(self.path),
        )

    def _find(self, file: PurePosixPath) -> Path:
        for folder in (
            self.root,
            self.root / "images",
            named(self.root).parent,
            named(self.root).parent / "images",
        ):
            if (found := find_written(folder, file)) is not None:
                return found
        raise ValueError(f"{self.path}: images: no file {str(file)!r} beside it or in images/")


def _annotations_file(root: Path) -> Path:
    """The one COCO file at a path. Raises ValueError if there is none or several."""
    if root.is_file():
        if root.suffix == ".json" and _looks_right(root):
            return root
        raise ValueError(f"{root}: no COCO JSON (images, annotations, categories)")
    inside = []
    for folder in (root, root / "annotations"):
        with suppress(ValueError):
            inside += files_in(folder, (".json",))
    found = [path for path in inside if path.name != DESCRIPTION and _looks_right(path)]
    if len(found) != 1:
        several = f": {', '.join(p.name for p in found)}; name one" if found else ""
        raise ValueError(f"{root}: expected one COCO JSON in it, got {len(found)}{several}")
    return found[0]


def _looks_right(path: Path) -> bool:
    """Whether the names of the three lists occur; the file may be large and is not parsed."""
    return holds_words(path, _KEYS)


def _list(content: Any, key: str, path: Path) -> list[dict[str, Any]]:
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError(f"{path}: {key}: expected a list of objects")
    return found


def _key(value: Any) -> Key | None:
    """An id, None if it is none: a text or a whole number, which pandas may write as a float."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, (int, str)) and not isinstance(value, bool) else None


def _class_ids(categories: list[dict[str, Any]], path: Path) -> tuple[dict[Key, int], list[str]]:
    """Category id -> class id, and the classes' names from 1, in the order of the category ids.

    A category called background, as many converters write, is class 0. Categories of one name are one
    class: Roboflow writes its project as a first category, which may have the name of a class.
    """
    for category in categories:
        if _key(category.get("id")) is None or not isinstance(category.get("name"), str):
            raise ValueError(f"{path}: categories: expected id and name, got {shown(category)}")
    # Sort numbers before texts.
    ordered = sorted(categories, key=lambda c: (isinstance(c["id"], str), c["id"]))
    ids = [_key(category["id"]) for category in ordered]
    if len(set(ids)) != len(ids):
        raise ValueError(f"{path}: categories: an id is there twice")
    called = [category["name"].strip() for category in ordered]
    names = list(dict.fromkeys(name for name in called if not _is_background(name)))
    return {
        key: 0 if _is_background(name) else names.index(name) + 1
        for key, name in zip(ids, called, strict=True)
        if key is not None
    }, names


def _is_background(name: str) -> bool:
    """Whether a category is the background, also ``_background_`` (labelme) or ``__background__``."""
    return name.strip("_ ").lower() == BACKGROUND


def _image(entry: dict[str, Any], where: str) -> tuple[Key, PurePosixPath, tuple[int, int]]:
    key, file = _key(entry.get("id")), entry.get("file_name")
    if key is None or not isinstance(file, str):
        raise ValueError(f"{where}: expected id and file_name, got {shown(entry)}")
    try:
        path = written_path(file)
    except ValueError as error:
        raise ValueError(f"{where}: file_name: {error}") from None
    height, width = _key(entry.get("height")), _key(entry.get("width"))
    if not isinstance(height, int) or not isinstance(width, int) or min(height, width) < 1:
        raise ValueError(f"{where}: expected height and width, got {height!r} and {width!r}")
    return key, path, (height, width)
