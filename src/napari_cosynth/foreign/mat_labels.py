"""Labels in MATLAB files of HoVer-Net, CoNSeP and Lizard: instances and their classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.files import read_mat
from napari_cosynth.foreign.instances import instance_ids, of_instances, whole_numbers
from napari_cosynth.io.errors import shown


@dataclass(frozen=True)
class MatLabels:
    """Instances and classes of one file."""

    instances: npt.NDArray[np.int32]
    """``inst_map``, int32 (H, W), 0 the background."""
    classes: npt.NDArray[np.int64] | None
    """The class of each pixel, int64 (H, W), 0 for none; None if the file has no classes."""


def read_mat_labels(path: Path) -> MatLabels:
    """The labels of a MATLAB file: ``inst_map`` and, if any, classes.

    Classes come from :func:`class_per_pixel`, else from ``type_map``, which has one per pixel. Raises
    ValueError naming file and field.
    """
    content = read_mat(path)
    if "inst_map" not in content:
        raise ValueError(f"{path}: inst_map: expected ids (H, W), got {shown(sorted(content))}")
    stored = whole_numbers(content["inst_map"], f"{path}: inst_map")
    classes = class_per_pixel(path, content, stored)
    if classes is None and "type_map" in content:
        classes = whole_numbers(content["type_map"], f"{path}: type_map").astype(np.int64)
        if classes.shape != stored.shape:
            raise ValueError(
                f"{path}: type_map: expected the shape of inst_map, {stored.shape}, got {classes.shape}"
            )
    return MatLabels(instance_ids(stored, f"{path}: inst_map"), classes)


def checked_classes(
    path: Path, classes: npt.NDArray[np.int64] | None, count: int
) -> npt.NDArray[np.uint8]:
    """Classes of :func:`read_mat_labels` as uint8 (H, W).

    Raises ValueError if there are none or one is not in 0..``count`` - 1.
    """
    if classes is None:
        raise ValueError(f"{path}: expected 'inst_type', 'class' or 'type_map'")
    lowest, highest = int(classes.min(initial=0)), int(classes.max(initial=0))
    if lowest < 0 or highest >= count:
        raise ValueError(f"{path}: classes: expected 0..{count - 1}, got {lowest}..{highest}")
    return classes.astype(np.uint8)


def class_per_pixel(
    path: Path, content: dict[str, Any], instances: npt.NDArray[Any]
) -> npt.NDArray[np.int64] | None:
    """The class of the instance at each pixel, int64 (H, W), 0 for none; None if the file has none.

    ``instances``: the file's ids, as :func:`~napari_cosynth.foreign.instances.whole_numbers` reads
    ``inst_map``. HoVer-Net stores classes as ``inst_type`` with their ids in ``inst_uid``, which leaves
    out instances without an outline; without ``inst_uid`` classes follow the sorted ids. Lizard stores
    ``class`` with ``id``, which has every instance. Raises ValueError naming file and field.
    """
    ids = np.unique(instances)
    ids = ids[ids > 0]
    if "inst_type" in content:
        values = _column(path, content, "inst_type")
        keys = _column(path, content, "inst_uid") if "inst_uid" in content else ids
        what = "inst_type"
    elif "class" in content:
        values, keys, what = _column(path, content, "class"), _column(path, content, "id"), "class"
        if len(unknown := np.setdiff1d(ids, keys)):
            raise ValueError(f"{path}: id: nucleus {unknown[0]} of inst_map is not among them")
    else:
        return None
    if len(values) != len(keys):
        raise ValueError(
            f"{path}: {what}: expected {len(keys)} classes, one per instance, got {len(values)}"
        )
    if len(np.unique(keys)) != len(keys) or (len(keys) and keys.min() < 1):
        field = "id" if what == "class" else "inst_uid"
        raise ValueError(f"{path}: {field}: expected distinct ids above 0")
    return np.asarray(of_instances(instances, keys, values), np.int64)


def _column(path: Path, content: dict[str, Any], field: str) -> npt.NDArray[np.int64]:
    """A field of whole numbers, int64 (N,). Raises ValueError naming it if it is missing or differs."""
    if field not in content:
        raise ValueError(f"{path}: expected {field!r}, got {shown(sorted(content))}")
    array = np.asarray(content[field])
    if array.dtype.kind not in "iuf" or not (array == np.floor(array)).all():
        raise ValueError(f"{path}: {field}: expected whole numbers, got {array.dtype}")
    if array.size and not (np.abs(array.astype(np.float64)) < 2**63).all():
        raise ValueError(f"{path}: {field}: expected whole numbers, got one beyond 64 bits")
    return array.ravel().astype(np.int64)
