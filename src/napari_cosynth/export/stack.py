"""The project's training stack: one TIFF per array, the layouts as CSV, everything else as JSON.

=====================  ==========================================================================
``images.tif``         uint8 (N, H, W, 3), RGB
``labels.tif``         uint8 (N, H, W), semantic classes
``instances.tif``      int32 (N, H, W), id = row of the layout + 1, spurious ones above
``distances.tif``      float32 (N, H, W) in [0, 1]
``layouts.csv``        ``sample,index,axis-0,axis-1,class``: napari's columns per sample
``cosynth.json``       ``classes`` (names, background first), ``colors``, ``mpp``, ``samples``
=====================  ==========================================================================
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_cosynth.atomic import replaced_folder
from napari_cosynth.types import Record, Synthesis

ARRAYS = {"images": "image", "labels": "labels", "instances": "instances", "distances": "distance"}
FORMAT = 1


def write_stack(items: Sequence[Record | Synthesis], path: Path, overwrite: bool = False) -> Path:
    """Writes records or syntheses of one shape, class table and µm/px as a stack folder.

    Raises ValueError naming the sample that does not fit, FileExistsError without ``overwrite``.
    """
    if not items:
        raise ValueError(f"{path}: nothing to save")
    records = [item.record if isinstance(item, Synthesis) else item for item in items]
    first = records[0]
    for index, record in enumerate(records):
        for name, found, wanted in (
            ("shape", record.labels.shape, first.labels.shape),
            ("classes", record.classes.names, first.classes.names),
            ("mpp", record.mpp, first.mpp),
        ):
            if found != wanted:
                raise ValueError(
                    f"{path}: sample {index}: {name} {found} is not sample 0's {wanted}"
                )
    with replaced_folder(Path(path), overwrite) as folder:
        for name, field in ARRAYS.items():
            stacked = np.stack([getattr(r, field) for r in records])
            _write_tiff(folder / f"{name}.tif", stacked, rgb=name == "images", mpp=first.mpp)
        _write_layouts(folder / "layouts.csv", records)
        (folder / "cosynth.json").write_text(
            json.dumps(_description(items, first), indent=1, allow_nan=False) + "\n",
            encoding="utf-8",
        )
    return Path(path)


def _write_tiff(path: Path, array: np.ndarray[Any, Any], rgb: bool, mpp: float) -> None:
    per_centimetre = 1e4 / mpp
    tifffile.imwrite(
        path,
        array,
        photometric="rgb" if rgb else "minisblack",
        compression="zlib",
        resolution=(per_centimetre, per_centimetre),
        resolutionunit="CENTIMETER",
        metadata={"axes": "NYXS" if rgb else "NYX"},
    )


def _write_layouts(path: Path, records: Sequence[Record]) -> None:
    lines = ["sample,index,axis-0,axis-1,class"]
    for sample, record in enumerate(records):
        names = record.classes.names
        for row, ((y, x), class_id) in enumerate(
            zip(record.layout.centroids, record.layout.class_ids, strict=True)
        ):
            lines.append(f"{sample},{row},{float(y)!r},{float(x)!r},{names[class_id]}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _description(items: Sequence[Record | Synthesis], first: Record) -> dict[str, Any]:
    samples = []
    for item in items:
        if isinstance(item, Synthesis):
            samples.append(item.recipe)
        else:
            samples.append(
                {
                    "synthetic": False,
                    "tissue": item.tissue,
                    "stain": item.stain,
                    "source": Path(item.source).name,
                }
            )
    return {
        "format": FORMAT,
        "classes": list(first.classes.names),
        "colors": first.classes.colors.tolist(),
        "mpp": first.mpp,
        "samples": samples,
    }
