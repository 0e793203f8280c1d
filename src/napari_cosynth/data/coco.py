"""COCO's instances JSON: polygons and run lengths (docs/formats/coco.md)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.data.base import NamedRecords, Parts
from napari_cosynth.data.files import read_rgb, select
from napari_cosynth.data.listing import files_in, find_written, name_of, written_path
from napari_cosynth.data.sidecar import read_sidecar
from napari_cosynth.foreign.files import read_json
from napari_cosynth.geometry.rle import decode, fill_polygon, from_string
from napari_cosynth.paths import named
from napari_cosynth.settings import parse
from napari_cosynth.stack_format import DESCRIPTION
from napari_cosynth.types import H_AND_E, ClassTable

logger = logging.getLogger(__name__)

ASSUMED_MPP = 0.25
_KEYS = (b'"images"', b'"annotations"', b'"categories"')


class CocoDataset(NamedRecords):
    """One JSON of ``images``, ``annotations`` and ``categories``, and the images it names.

    ``root`` is the file, or a folder with one such file in it or in its ``annotations``; images are
    looked for beside it, in ``images`` and in the folder above. ``segmentation`` is a list of polygons or
    run lengths, compressed or not; both fill the pixels that the COCO API fills. Categories become
    classes in the order of their ids; where nuclei overlap, the later one holds. Crowds
    (``iscrowd`` 1) are no single nucleus and are left out.
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
        self._class_ids = _class_ids(lists["categories"], self.path)
        names = [c["name"] for c in sorted(lists["categories"], key=lambda c: c["id"])]
        try:
            self.classes = self.own.classes if self.own else ClassTable.of(*names)
        except ValueError as error:
            raise ValueError(f"{self.path}: categories: {error}") from None
        info = content.get("info")
        stated = info.get("mpp") if isinstance(info, dict) else None
        self.mpp_stated = mpp is not None or isinstance(stated, (int, float))
        self.mpp = mpp or (float(stated) if isinstance(stated, (int, float)) else ASSUMED_MPP)
        self._images: dict[str, tuple[int, Path, tuple[int, int]]] = {}
        for number, entry in enumerate(lists["images"]):
            key, file, shape = _image(entry, f"{self.path}: images: {number}")
            if (name := str(file.parent / name_of(file))) in self._images:
                raise ValueError(f"{self.path}: images: {name!r} is there twice")
            self._images[name] = key, self._find(file), shape
        self._annotations: dict[int, list[dict[str, Any]]] = {}
        for entry in _list(content, "annotations", self.path):
            self._annotations.setdefault(entry.get("image_id", -1), []).append(entry)
        known = {key for key, _, _ in self._images.values()}
        if unknown := set(self._annotations) - known:
            raise ValueError(f"{self.path}: annotations: no image has id {min(unknown)!r}")
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
        instances, labels = np.zeros(shape, np.int32), np.zeros(shape, np.uint8)
        lost = crowds = 0
        for index, annotation in enumerate(self._annotations.get(key, ()), start=1):
            where = f"{self.path}: annotation {annotation.get('id')}"
            category = annotation.get("category_id")
            if category not in self._class_ids:
                raise ValueError(f"{where}: category_id: {category!r} is no category")
            if annotation.get("iscrowd"):
                crowds += 1
                continue
            mask = _mask(annotation.get("segmentation"), shape, where)
            instances[mask] = index
            labels[mask] = self._class_ids[category]
            lost += not mask.any()
        if lost or crowds:
            logger.warning(
                "%s: %s: left out: %d crowds, %d annotations that cover no pixel",
                self.path,
                name,
                crowds,
                lost,
            )
        return Parts(
            image,
            instances,
            labels,
            self.mpp,
            self.tissue_of(name),
            str(path),
            self.own_text(name, "stain", H_AND_E),
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
    """The one COCO file that a path means. Raises ValueError where there is none or several."""
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
    """Whether the three lists' names occur, without parsing a file that may be large."""
    missing = set(_KEYS)
    with path.open("rb") as handle:
        tail = b""
        while missing and (block := handle.read(1 << 20)):
            missing = {key for key in missing if key not in tail + block}
            tail = block[-20:]
    return not missing


def _list(content: Any, key: str, path: Path) -> list[dict[str, Any]]:
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError(f"{path}: {key}: expected a list of objects")
    return found


def _class_ids(categories: list[dict[str, Any]], path: Path) -> dict[int, int]:
    """Category id -> class id, 1..K-1 in the order of the category ids."""
    for category in categories:
        if not isinstance(category.get("id"), int) or not isinstance(category.get("name"), str):
            raise ValueError(f"{path}: categories: expected id and name, got {category}")
    ordered = sorted(category["id"] for category in categories)
    if len(set(ordered)) != len(ordered):
        raise ValueError(f"{path}: categories: an id is there twice")
    return {key: index for index, key in enumerate(ordered, start=1)}


def _image(entry: dict[str, Any], where: str) -> tuple[int, PurePosixPath, tuple[int, int]]:
    key, file = entry.get("id"), entry.get("file_name")
    if not isinstance(key, int) or not isinstance(file, str):
        raise ValueError(f"{where}: expected id and file_name, got {entry}")
    try:
        path = written_path(file)
    except ValueError as error:
        raise ValueError(f"{where}: file_name: {error}") from None
    height, width = entry.get("height"), entry.get("width")
    if not isinstance(height, int) or not isinstance(width, int) or min(height, width) < 1:
        raise ValueError(f"{where}: expected height and width, got {height!r} and {width!r}")
    return key, path, (height, width)


def _mask(value: Any, shape: tuple[int, int], where: str) -> npt.NDArray[np.bool_]:
    where = f"{where}: segmentation"
    try:
        if isinstance(value, dict):
            size = parse(tuple[int, int], value.get("size"), "size")
            counts = value.get("counts")
            if size != shape:
                raise ValueError(f"size: expected {shape}, got {size}")
            runs = (
                from_string(counts)
                if isinstance(counts, str)
                else parse(list[int], counts, "counts")
            )
            return decode(runs, shape)
        mask = np.zeros(shape, bool)
        for flat in parse(list[list[float]], value, "polygons"):
            if len(flat) < 6 or len(flat) % 2 or not np.isfinite(flat).all():
                raise ValueError("expected polygons of three or more finite points")
            mask |= fill_polygon(np.reshape(flat, (-1, 2)), shape)
        return mask
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
