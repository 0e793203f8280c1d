"""PanNuke's arrays: ``images.npy``, ``masks.npy``, ``types.npy`` (docs/formats/pannuke.md)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from napari_cosynth.export.base import Item, exporting
from napari_cosynth.export.npy import GrowingNpy


def write_pannuke(items: Iterable[Item], path: Path, overwrite: bool = False) -> Path:
    """Writes records of one shape as a fold of PanNuke.

    ``images.npy`` is float64 (N, H, W, 3), 0..255. ``masks.npy`` is float64 (N, H, W, K): instance ids in
    a channel for each class, and in the last channel 1 for the background. ``types.npy`` is (N,), tissue
    names. With PanNuke's five classes K is 6, as published. Other class tables have as many channels as
    classes, background included; ``cosynth.json`` names them.
    """
    with exporting(items, path, "pannuke", overwrite, one_shape=True) as (folder, samples):
        tissues = []
        with (
            GrowingNpy(folder / "images.npy", np.float64) as images,
            GrowingNpy(folder / "masks.npy", np.float64) as masks,
        ):
            for sample in samples:
                record = sample.record
                channels = [
                    np.where(record.labels == c, record.instances, 0)
                    for c in range(1, len(record.classes))
                ]
                images.append(record.image)
                masks.append(np.stack([*channels, record.instances == 0], -1))
                tissues.append(record.tissue)
        np.save(folder / "types.npy", np.array(tissues, np.str_), allow_pickle=False)
    return Path(path)
