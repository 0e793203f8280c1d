"""A data folder of small layouts, and plans over it with the tiny checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_cosynth.generate.plan import FolderLayouts, Plan
from napari_cosynth.layouts.sources.points_csv import write_layout
from napari_cosynth.types import ClassTable, Layout

SHAPE = (64, 64)
CLASSES = ClassTable.of("inflammatory", "epithelial", "spindle-shaped")


def random_layout(shares: list[float], count: int, seed: int) -> Layout:
    """``count`` nuclei on a grid, their classes drawn by ``shares``."""
    rng = np.random.default_rng(seed)
    places = rng.permutation(64)[:count]
    centroids = np.stack([places // 8, places % 8], 1) * 8 + 3 + rng.uniform(-2, 2, (count, 2))
    ids = rng.choice(3, count, p=shares) + 1
    return Layout(centroids.astype(np.float32), ids.astype(np.uint8), SHAPE, 0.5, CLASSES)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """``layouts/``: 12 layouts, of which every third has many of the rare third class."""
    folder = tmp_path / "data" / "layouts"
    folder.mkdir(parents=True)
    for i in range(12):
        shares = [0.5, 0.3, 0.2] if i % 3 == 0 else [0.7, 0.29, 0.01]
        write_layout(random_layout(shares, 20 + i, i), folder / f"{i:02d}.csv")
    return tmp_path / "data"


@pytest.fixture
def plan(tiny_checkpoint: Path) -> Plan:
    return Plan(
        name="tiny",
        samples=7,
        shape=SHAPE,
        layouts=(FolderLayouts("folder", "layouts", tissue="colon"),),
        checkpoint=str(tiny_checkpoint),
        steps=2,
        shard_size=3,
        per_layout=2,
    )
