"""Fit of a model's label logits to the areas of real nuclei, so that nuclei get the right size.

A sampler takes the likeliest label at every pixel. So a class that is rarely the likeliest gets too
little area, and every pass more or less changes the areas. Here layouts of training tiles are sampled,
the area of each class is compared with the area in the tiles' own labels, and the bias of its logits is
changed until the two agree.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from napari_cosynth.model.checkpoint import CheckpointConfig, Model
from napari_cosynth.model.samplers import default_sampler
from napari_cosynth.records.augment import random_crop
from napari_cosynth.training.config import Recipe
from napari_cosynth.training.data import CosynthData
from napari_cosynth.training.grid import sample_records
from napari_cosynth.types import Record

logger = logging.getLogger(__name__)

LEAST = 2000
"""Fewest pixels of a class in all patches together; the bias of a rarer class stays."""
FARTHEST = 0.75
"""Largest change of a bias in a round, in logits; it is halved for a class whose area got worse."""
_SLOPE = 0.12
"""Approximate change of the logarithm of an area per logit, measured on the bundled model."""


PATCHES, SIDE = 64, 192
"""Number of patches of training tiles that are sampled, and their side in pixels."""


def training_patches(recipe: Recipe, data_root: Path) -> list[Record]:
    """Patches spread over all training tiles of a recipe, the same at every call."""
    tiles = [r for records in CosynthData(recipe, data_root).training for r in records]
    rng = np.random.default_rng(recipe.seed)
    chosen = [tiles[i * len(tiles) // PATCHES] for i in range(PATCHES)]
    return [random_crop(tile, min(SIDE, *tile.labels.shape), rng) for tile in chosen]


def areas(labels: Sequence[npt.NDArray[np.uint8]], classes: int) -> npt.NDArray[np.float64]:
    """Pixels of each class over all label maps, float64 (classes,)."""
    return np.sum([np.bincount(x.ravel(), minlength=classes) for x in labels], 0).astype(np.float64)


def raise_logits(model: Model, changes: npt.NDArray[np.float64]) -> None:
    """Adds (classes,) to the label logits, in the last layer's bias."""
    network = model.network
    folded = network.config.patch**2
    with torch.no_grad():
        bias = network.head.bias
        assert bias is not None
        logits = bias[4 * folded :].reshape(-1, folded)
        logits += torch.from_numpy(changes).to(bias)[:, None]


def fit_areas(
    model: Model, config: CheckpointConfig, records: Sequence[Record], rounds: int = 4
) -> npt.NDArray[np.float64]:
    """Fits the biases in place; returns sampled over real areas, before and after, float64 (2, classes).

    ``records`` are patches of training tiles in the model's classes and on its grid. The sampler is the
    checkpoint's default. Classes with less than ``LEAST`` pixels have NaN.
    """
    classes = model.network.classes
    sampler, steps = default_sampler(config)
    real = areas([r.labels for r in records], classes)
    fitted = (real >= LEAST) & (np.arange(classes) > 0)
    now, best = np.zeros(classes), np.zeros(classes)
    error = reach = np.full(classes, np.inf)
    first = np.zeros(classes)
    for number in range(rounds + 1):
        labels = [m.labels for m in sample_records(model, config, records, steps, sampler)]
        made = areas(labels, classes)
        found = np.where(fitted, np.log(np.maximum(made, 1) / np.maximum(real, 1)), 0.0)
        logger.info("areas over real, round %d: %s", number, np.exp(found[1:]).round(3).tolist())
        first = first if number else found
        better = np.abs(found) <= np.abs(error)
        best, error = np.where(better, now, best), np.where(better, found, error)
        reach = np.where(better, np.minimum(reach, FARTHEST), reach / 2)
        # The last round only measures and keeps the best biases.
        wanted = best if number == rounds else best - np.clip(error / _SLOPE, -reach, reach)
        raise_logits(model, wanted - now)
        now = wanted
    return np.where(fitted, np.exp([first, error]), np.nan)
