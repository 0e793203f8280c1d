"""``cosynth train-segmenter``: HoVer-Net on the training tiles of a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_cosynth.cli.datasets.named import chosen_sets
from napari_cosynth.segmenter.checkpoint import pixels_digest
from napari_cosynth.training.config import load_recipe
from napari_cosynth.training.records import open_split
from napari_cosynth.training.segmenter import SegmenterSettings, train_segmenter
from napari_cosynth.types import ClassTable, Record


def train_on_recipe(
    recipe_name: str,
    data_root: Path,
    out: Path,
    sets: Sequence[str] = (),
    network: Mapping[str, Any] | None = None,
    steps: int = SegmenterSettings.steps,
    seed: int = 0,
    hours: float | None = None,
    device: str = "auto",
) -> Path | None:
    """Trains a segmenter on a recipe's training tiles; its held-out tiles stay unseen.

    Returns the finished segmenter's folder, or None where ``hours`` ran out first; the same call then
    resumes.
    """
    recipe = load_recipe(recipe_name)
    settings = SegmenterSettings(network=dict(network or {}), steps=steps)
    classes = ClassTable.of(*recipe.classes)
    settings.build(
        len(classes)
    )  # refuses a wrong network before tiles are read, which takes minutes
    tiles: list[Record] = []
    for config in chosen_sets(recipe, sets):
        tiles += open_split(config, data_root, recipe, classes)[0]
    return train_segmenter(
        [(tiles, 1.0)],
        settings,
        out,
        seed,
        device=device,
        max_hours=hours,
        tiles={Path(t.source).name: pixels_digest(t.image) for t in tiles},
    )
