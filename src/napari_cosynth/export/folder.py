"""PNG folders: an image, an instance map and a class map per sample (docs/formats/folder.md)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_cosynth.export.base import Item, exporting, sixteen_bits, write_png


def write_folder(items: Iterable[Item], path: Path, overwrite: bool = False) -> Path:
    """Writes ``images/NAME.png`` (RGB), ``instances/NAME.png`` (16 bits), ``labels/NAME.png`` (8 bits).

    Raises ValueError if an instance id is above 65535.
    """
    with exporting(items, path, "folder", overwrite) as (folder, samples):
        for sample in samples:
            name, record = f"{sample.name}.png", sample.record
            write_png(folder / "images" / name, record.image)
            write_png(folder / "instances" / name, sixteen_bits(record, f"{path}: {sample.name}"))
            write_png(folder / "labels" / name, record.labels)
    return Path(path)
