"""HoVer-Net's two layouts: training patches, and tiles with ``.mat`` files (docs/formats/hovernet.md)."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scipy import ndimage as ndi
from scipy.io import savemat

from napari_cosynth.export.base import Item, exporting, write_png
from napari_cosynth.geometry.measure import majority_classes
from napari_cosynth.types import Record

_HEADER = 116
"""Bytes of a ``.mat`` file's descriptive text."""


def write_patches(items: Iterable[Item], path: Path, overwrite: bool = False) -> Path:
    """Writes ``NAME.npy``, int32 (H, W, 5): red, green, blue, instance id, class.

    This is the output of HoVer-Net's ``extract_patches.py``, from which it trains.
    """
    with exporting(items, path, "hovernet", overwrite) as (folder, samples):
        for sample in samples:
            record = sample.record
            layers = (record.image, record.instances[..., None], record.labels[..., None])
            patch = np.concatenate([layer.astype(np.int32) for layer in layers], -1)
            np.save(folder / f"{sample.name}.npy", patch, allow_pickle=False)
    return Path(path)


def write_tiles(items: Iterable[Item], path: Path, overwrite: bool = False) -> Path:
    """Writes ``Images/NAME.png`` and ``Labels/NAME.mat``, as CoNSeP is published.

    The variables: ``inst_map`` int32 (H, W), ``type_map`` uint8 (H, W), and for the N ids in ascending
    order ``inst_type`` uint8 (N, 1) and ``inst_centroid`` float64 (N, 2), (x, y) in pixels.
    """
    with exporting(items, path, "consep", overwrite) as (folder, samples):
        (folder / "Labels").mkdir()
        for sample in samples:
            write_png(folder / "Images" / f"{sample.name}.png", sample.record.image)
            _write_mat(folder / "Labels" / f"{sample.name}.mat", _variables(sample.record))
    return Path(path)


def _write_mat(path: Path, variables: dict[str, object]) -> None:
    """The same variables give the same bytes: without the time that scipy writes in the header."""
    content = io.BytesIO()
    savemat(content, variables, do_compression=True)
    content.seek(0)
    content.write(b"MATLAB 5.0 MAT-file".ljust(_HEADER))
    path.write_bytes(content.getvalue())


def _variables(record: Record) -> dict[str, object]:
    ids = np.unique(record.instances)
    ids = ids[ids > 0]
    types = majority_classes(record.instances, record.labels, len(record.classes))[ids - 1]
    centres = ndi.center_of_mass(record.instances > 0, record.instances, ids) if len(ids) else []
    return {
        "inst_map": record.instances,
        "type_map": record.labels,
        "inst_type": types.reshape(-1, 1),
        "inst_centroid": np.array(centres, np.float64).reshape(-1, 2)[:, ::-1],
    }
