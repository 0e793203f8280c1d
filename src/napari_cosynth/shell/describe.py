"""``cosynth info PATH``: what a data set or an export holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from napari_cosynth.datasets.formats import open_records
from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.io.paths import SOFTWARE
from napari_cosynth.shell.overview import outlined
from napari_cosynth.types import Record

SHOWN = 6
"""Records in the picture."""
_WIDEST = 512
"""Pixels of a record in the picture, at most."""
_GAP = 4


def describe(path: Path, kind: str | None, picture: Path | None, **options: Any) -> None:
    """Prints format, number, shapes, classes with counts, µm/px, tissues; draws some records."""
    found, dataset = open_records(path, kind, **options)
    nuclei = np.zeros(len(dataset.classes), np.int64)
    shapes: Counter[tuple[int, ...]] = Counter()
    sizes: Counter[float] = Counter()
    tissues: Counter[str] = Counter()
    stains: Counter[str] = Counter()
    panels: list[npt.NDArray[np.uint8]] = []
    step = max(1, len(dataset) // SHOWN)
    for index, record in enumerate(tqdm(dataset, total=len(dataset), disable=None)):
        nuclei += np.bincount(record.layout.class_ids, minlength=len(nuclei))
        shapes[record.labels.shape] += 1
        sizes[round(record.mpp, 6)] += 1
        tissues[record.tissue or "not stated"] += 1
        stains[record.stain] += 1
        if picture and index % step == 0 and len(panels) < SHOWN:
            panels.append(_panel(record))
    synthetic = sum(bool(s.get("synthetic")) for s in dataset.own.samples) if dataset.own else 0
    assumed = "" if dataset.mpp_stated else " (assumed: the files do not state it)"
    facts = {
        "path": str(path),
        "format": found + (f", export of CoSynth, {synthetic} synthetic" if dataset.own else ""),
        "records": str(len(dataset)),
        "shapes": ", ".join(f"{h} x {w} ({n})" for (h, w), n in shapes.most_common()),
        "µm/px": ", ".join(f"{size:g}" for size in sorted(sizes)) + assumed,
        "nuclei": str(int(nuclei.sum())),
        "classes": ", ".join(
            f"{i} {name} ({nuclei[i]})" for i, name in enumerate(dataset.classes.names) if i
        ),
        "tissues": ", ".join(f"{name} ({n})" for name, n in sorted(tissues.items())),
        "stains": ", ".join(f"{name} ({n})" for name, n in sorted(stains.items())),
    }
    for key, value in [*facts.items(), *(("note", note) for note in dataset.notes)]:
        print(f"{key + ':':9}{value}")
    if picture:
        import imageio.v3 as iio
        from PIL.PngImagePlugin import PngInfo

        made = PngInfo()
        made.add_text("Software", SOFTWARE)
        with replaced_file(picture) as fresh:
            iio.imwrite(fresh, _montage(panels), extension=".png", pnginfo=made)
        print(f"picture: {picture}")


def _panel(record: Record) -> npt.NDArray[np.uint8]:
    """Image above its outlined nuclei, cut to a size that is quick to look at."""
    cut = np.s_[:_WIDEST, :_WIDEST]
    return np.concatenate([record.image[cut], outlined(record)[cut]], 0)


def _montage(panels: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    height = max(panel.shape[0] for panel in panels)
    width = sum(panel.shape[1] + _GAP for panel in panels) - _GAP
    out = np.full((height, width, 3), 255, np.uint8)
    x = 0
    for panel in panels:
        out[: panel.shape[0], x : x + panel.shape[1]] = panel
        x += panel.shape[1] + _GAP
    return out
