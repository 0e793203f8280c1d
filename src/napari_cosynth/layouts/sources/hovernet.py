"""Nuclei from the output of HoVer-Net and CellViT: JSON (``nuc`` or ``cells``) and ``.mat``.

Coordinates are (x, y) with pixel centres at integers: contours are OpenCV's, centroids are moments of
masks.
HoVer-Net: https://github.com/vqdang/hover_net; CellViT: https://github.com/TIO-IKIM/CellViT.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.files import read_json
from napari_cosynth.foreign.mat_labels import read_mat_labels
from napari_cosynth.foreign.positions import read_positions
from napari_cosynth.geometry.outlines import Outline, outline_centroids
from napari_cosynth.io.errors import shown
from napari_cosynth.layouts.sources.labels import label_centroids, parted_note
from napari_cosynth.layouts.sources.nuclei import Nuclei


def read_hovernet_json(path: str | Path) -> Nuclei:
    """The nuclei of a JSON file. Raises ValueError naming file, nucleus and field.

    A nucleus' point is its ``centroid``, else the centroid of its ``contour``, else the middle of its
    ``bbox``. Its class is the name of its ``type`` in the file's ``type_map`` (CellViT). Files without
    one give names such as ``type 3``, since the numbers depend on the network's training data.
    """
    path = Path(path)
    content = read_json(path)
    table = content if isinstance(content, dict) else {}
    cells = table.get("nuc", table.get("cells"))
    if isinstance(cells, dict):
        entries = list(cells.items())
    elif isinstance(cells, list):
        entries = list(enumerate(cells))
    else:
        raise ValueError(f"{path}: expected 'nuc' (HoVer-Net) or 'cells' (CellViT)")
    names = table.get("type_map")
    type_map = {str(k): str(v) for k, v in names.items()} if isinstance(names, dict) else {}
    centroids: list[npt.NDArray[np.float64]] = []
    outlines: list[Outline] = []
    classes, probability = [], np.full(len(entries), np.nan)
    for row, (key, cell) in enumerate(entries):
        where = f"{path}: nucleus {key}"
        if not isinstance(cell, dict):
            raise ValueError(f"{where}: expected an object, got {shown(cell)}")
        contour = cell.get("contour")
        if contour:
            outlines.append(((_positions(contour, f"{where}: contour"),),))
        centroids.append(_centroid(cell, where))
        kind = cell.get("type")
        name = "" if kind is None else type_map.get(str(kind), f"type {kind}")
        classes.append(name)
        if isinstance(cell.get("type_prob"), (int, float)):
            probability[row] = cell["type_prob"]
    return Nuclei(
        np.array(centroids, np.float64).reshape(-1, 2),
        tuple(classes),
        str(path),
        tuple(outlines) if entries and len(outlines) == len(entries) else None,
        {"type_prob": probability} if np.isfinite(probability).any() else {},
        _mpp(table),
    )


def _centroid(cell: dict[str, Any], where: str) -> npt.NDArray[np.float64]:
    if cell.get("centroid") is not None:
        return np.asarray(_positions([cell["centroid"]], f"{where}: centroid")[0])
    if cell.get("contour"):
        ring = _positions(cell["contour"], f"{where}: contour")
        return np.asarray(outline_centroids([((ring,),)])[0])
    if cell.get("bbox") is not None:  # rows before columns, the end exclusive
        corners = _positions(cell["bbox"], f"{where}: bbox")[:, ::-1]
        if len(corners) != 2:
            raise ValueError(f"{where}: bbox: expected two corners, got {len(corners)}")
        low, high = corners
        return np.asarray((low + high - 1) / 2)
    raise ValueError(f"{where}: expected a centroid, a contour or a bbox")


def _positions(values: Any, where: str) -> npt.NDArray[np.float64]:
    """Pairs (x, y) of a file as (y, x), float64 (N, 2). Raises ValueError naming ``where``."""
    return read_positions(values, where)[:, ::-1]


def _mpp(table: dict[str, Any]) -> float | None:
    """µm/px of a CellViT file, else None; HoVer-Net's ``mag`` is an objective and no pixel size."""
    about = table.get("wsi_metadata")
    value = about.get("base_mpp") if isinstance(about, dict) else None
    return float(value) if isinstance(value, (int, float)) and 0.01 < value < 10 else None


def read_hovernet_mat(path: str | Path) -> Nuclei:
    """The nuclei of a ``.mat`` of HoVer-Net, CoNSeP or Lizard: ``inst_map``, with classes if it has any.

    Classes come from ``inst_type`` (by ``inst_uid``, else in the order of the sorted ids), from ``class``
    by ``id`` (Lizard), or from the majority of ``type_map``. Their names are ``type 3`` and so on. Raises
    ValueError naming the file.
    """
    path = Path(path)
    found = read_mat_labels(path)
    instances = found.instances
    _, centroids = label_centroids(instances)
    return Nuclei(
        centroids.astype(np.float64),
        tuple(f"type {kind}" if kind else "" for kind in _types(instances, found.classes)),
        str(path),
        shape=(instances.shape[0], instances.shape[1]),
        notes=parted_note(instances),
    )


def _types(instances: npt.NDArray[np.int32], classes: npt.NDArray[np.int64] | None) -> list[int]:
    """The majority class of each instance, in the order of the ids; 0 where it has none."""
    inside = instances > 0
    ids, row = np.unique(instances[inside], return_inverse=True)
    if classes is None:
        return [0] * len(ids)
    kinds, kind = np.unique(classes[inside], return_inverse=True)
    votes = np.zeros((len(ids), len(kinds)), np.int64)
    np.add.at(votes, (row, kind), 1)
    votes[:, kinds == 0] = 0
    return [int(kinds[v.argmax()]) if v.any() else 0 for v in votes]
