"""COCO's instances: polygons, run lengths that do not end, names that lead elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from skimage.io import imsave

from harness import Reader, json_text, main
from napari_cosynth.datasets.coco import CocoDataset
from napari_cosynth.geometry.rle import to_string

_BOMBS: tuple[Any, ...] = (
    {"size": [24, 32], "counts": [768]},
    {"size": [24, 32], "counts": [0] * 5000 + [768]},
    {"size": [24, 32], "counts": [2**62, -(2**62) + 768]},
    {"size": [24, 32], "counts": [2**63, 1]},
    {"size": [24, 32], "counts": [10**400]},
    {"size": [24, 32], "counts": [1e308, 2.5]},
    {"size": [24, 32], "counts": "o" * 4000 + "0"},
    {"size": [24, 32], "counts": "`" * 100_000},
    {"size": [24, 32], "counts": "PPPP"},
    {"size": [2**31, 2**31], "counts": [2**62]},
    [[-1e9, -1e9, 1e9, -1e9, 1e9, 1e9]],
    [[0, 0, 1e18, 0, 1e18, 1e18]],
    [[0, 0, 1e308, 0, -1e308, 5]],
    [[1, 1] * 50_000],
    [[0.5, 0.5, 0.5, 0.5, 0.5, 0.5]],
)


def whole() -> dict[str, Any]:
    """An image of three nuclei, each in another notation."""
    shapes = [
        [[2, 2, 8, 2, 8, 8, 2, 8]],
        {"size": [24, 32], "counts": [10, 5, 753]},
        {"size": [24, 32], "counts": to_string([3, 4, 761])},
    ]
    return {
        "info": {"mpp": 0.5},
        "images": [{"id": 1, "file_name": "a.png", "height": 24, "width": 32}],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1 + i % 2, "iscrowd": 0, "segmentation": shape}
            for i, shape in enumerate(shapes)
        ],
    }


def content(data: st.DataObject) -> dict[str, Any]:
    made = whole()
    if data.draw(st.integers(0, 2)) == 0:
        annotation = made["annotations"][data.draw(st.integers(0, 2))]
        annotation["segmentation"] = data.draw(st.sampled_from(_BOMBS))
    return made


def write(folder: Path, data: st.DataObject) -> None:
    imsave(folder / "a.png", np.full((24, 32, 3), 200, np.uint8), check_contrast=False)
    made = content(data)
    as_it_is = data.draw(st.integers(0, 3)) == 0
    text = json.dumps(made).encode() if as_it_is else json_text(data, made)
    (folder / "coco.json").write_bytes(text)


COCO = Reader("COCO", write, lambda folder: list(CocoDataset(folder / "coco.json")))
READERS = (COCO,)

if __name__ == "__main__":
    main(*READERS)
