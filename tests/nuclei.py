"""Records made for tests of formats: nuclei with holes, corners that touch, borders that cut."""

from __future__ import annotations

import numpy as np

from napari_cosynth.export.base import Described
from napari_cosynth.records.base import make_record
from napari_cosynth.types import ClassTable, Record

CLASSES = ClassTable.of("inflammatory", "epithelial", "spindle-shaped")
RECIPE = {"synthetic": True, "prompt": "p", "tissue": "colon", "stain": "H&E"}


def record(
    seed: int = 0,
    shape: tuple[int, int] = (40, 56),
    classes: ClassTable = CLASSES,
    mpp: float = 0.5,
) -> Record:
    """A record of random discs in classes drawn from all, and four nuclei that are hard to store."""
    rng = np.random.default_rng(seed)
    height, width = shape
    y, x = np.indices(shape)
    ids = np.zeros(shape, np.int32)
    for index in range(5, 5 + height * width // 250):
        cy, cx, r = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(2, 5)
        ids[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = index
    ids[:12, :14] = 0
    ids[1:8, 1:8] = 1
    ids[3:6, 3:6] = 0  # a hole
    ids[4, 4] = 2  # a nucleus in it
    ids[8:11, 8:11] = 1  # touches at a corner: one nucleus in two parts
    ids[0:3, 9:13] = 3  # cut by the border
    ids[height - 1, width - 1] = 4
    kinds = rng.integers(1, len(classes), ids.max() + 1).astype(np.uint8)
    kinds[0] = 0
    image = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
    return make_record(image, ids, kinds[ids], classes, mpp, "colon", f"made {seed}")


def items(count: int = 3, **kinds: object) -> list[Described]:
    """Records with recipes and names."""
    return [
        Described(record(i, **kinds), {**RECIPE, "seed": i}, f"tile_{i}")  # type: ignore[arg-type]
        for i in range(count)
    ]
