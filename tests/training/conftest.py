"""Tiles of dark squares on a light ground, and a recipe that trains on them in a second."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest
from skimage.io import imsave

from napari_cosynth.training.config import (
    AdversarialConfig,
    DataConfig,
    DiscriminatorConfig,
    OptimizerConfig,
    Recipe,
    StageConfig,
)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Two tiles of dark squares on a light ground."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for kind in ("images", "instances"):
        (root / "toy" / kind).mkdir(parents=True)
    for name in ("a", "b"):
        ids = np.zeros((96, 96), np.uint16)
        for i, (y, x) in enumerate(np.argwhere(rng.random((6, 6)) < 0.4) * 16, start=1):
            ids[y + 3 : y + 11, x + 3 : x + 11] = i
        image = np.where(ids[..., None] > 0, 80, 200) + rng.integers(-9, 9, (96, 96, 3))
        imsave(root / "toy/images" / f"{name}.png", image.astype(np.uint8), check_contrast=False)
        imsave(root / "toy/instances" / f"{name}.png", ids, check_contrast=False)
    return root


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return Recipe(
        name="toy",
        mpp=0.5,
        classes=("unspecified",),
        data=(
            DataConfig("folder", "toy", validation=("b",), options={"mpp": 0.5, "tissue": "colon"}),
        ),
        stages=(StageConfig(4, 32, 2), StageConfig(4, 48, 2)),
        network={
            "preset": "compact",
            "widths": [8, 16],
            "blocks": [1, 1],
            "cross_attention": [1],
            "text_width": 16,
            "point_channels": 8,
            "point_growth": 4,
        },
        text={"kind": "compact", "width": 16, "heads": 2},
        optimizer=OptimizerConfig(warmup=2, decay=2),
        # float32, so that processes and resumed states agree to its rounding
        precision="32",
        validate_every=4,
        validation_patches=2,
        validation_crop=48,
        sample_layouts=1,
        sample_shape=48,
        sample_steps=2,
    )


@pytest.fixture(scope="session")
def few_recipe(recipe) -> Recipe:
    """The same with a discriminator, for the sampler of three passes."""
    return dataclasses.replace(
        recipe,
        stages=(StageConfig(4, 32, 3), StageConfig(4, 48, 3)),
        sampler="few",
        sample_steps=3,
        adversarial=AdversarialConfig(
            nodes=(0.999, 0.7, 0.35),
            silent=1,
            ramp=2,
            discriminator=DiscriminatorConfig(blocks=(0, 2), width=8),
        ),
    )


@pytest.fixture
def losses():
    """A logged figure of a run by step; one logged twice must be the same both times."""

    def read(folder, name: str) -> dict[int, float]:
        found: dict[int, float] = {}
        for path in sorted(folder.glob("log/version_*/metrics.csv")):
            with path.open() as handle:
                for row in csv.DictReader(handle):
                    if row.get(name):
                        step, value = int(row["step"]), float(row[name])
                        assert found.setdefault(step, value) == value
        return found

    return read
