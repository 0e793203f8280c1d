"""ImageNet features of images, and Fréchet distances that are honest about few of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_cosynth.evaluation.encoders.imagenet import imagenet_features
from napari_cosynth.evaluation.reports.figure import IMAGENET, OVER_HALVES
from napari_cosynth.evaluation.reports.figures import image_figures
from napari_cosynth.evaluation.reports.samples import Samples
from napari_cosynth.model.efficientnet import pretrained


@pytest.mark.parametrize("shape", [(48, 80), (20, 33)])
def test_features_of_whole_images_of_any_size(shape):
    """Batches do not matter, and black is -1, white 1."""
    images = np.random.default_rng(0).integers(0, 256, (3, *shape, 3), np.uint8)
    images[0], images[1] = 0, 255
    found = imagenet_features(pretrained(), images, batch=2)
    assert found.shape == (3, 1280) and found.dtype == np.float64
    for row, value in enumerate((-1.0, 1.0)):
        expected = pretrained()(torch.full((1, 3, *shape), value))[0].double().numpy()
        np.testing.assert_allclose(found[row], expected, atol=1e-4)
    assert np.abs(found[0] - found[1]).max() > 0.1
    assert imagenet_features(pretrained(), images[:0]).shape == (0, 1280)


def figures_of(made: np.ndarray, real: np.ndarray) -> dict[str, object]:
    """The figures of features alone, of four images a tile."""

    def samples(features: np.ndarray, kind: str) -> Samples:
        count = len(features)
        groups = [f"{kind} {i // 4}" for i in range(count)]
        return Samples([None] * count, groups, [None] * count, imagenet=features)

    found = image_figures(samples(made, "layout"), samples(real, "tile"))
    return {f.name: f for f in found}


def test_the_multiple_of_halves_has_no_bias_of_few_images():
    """24 draws of one distribution in 300 dimensions: far apart as they stand, and as far as halves."""
    rng = np.random.default_rng(0)
    real, same = rng.normal(size=(2, 24, 300))
    name = f"Fréchet distance ({IMAGENET})"
    found = figures_of(same, real)
    assert found[name].estimate.value > 200
    multiple = found[f"{name}, {OVER_HALVES}"]
    assert multiple.estimate.value == pytest.approx(1, abs=0.1)
    assert multiple.real == 1
    low, high = multiple.estimate.interval
    assert low < multiple.estimate.value < high
    moved = figures_of(same + 2, real)
    # 300 dimensions by 2: 1,200 on top of halves' own distance.
    own = 1200 / (moved[f"{name}, {OVER_HALVES}"].estimate.value - multiple.estimate.value)
    assert own == pytest.approx(found[name].real, rel=0.1)


def test_one_tile_has_no_halves():
    rng = np.random.default_rng(0)
    found = figures_of(*rng.normal(size=(2, 4, 10)))
    multiple = found[f"Fréchet distance ({IMAGENET}), {OVER_HALVES}"]
    assert np.isnan(multiple.estimate.value) and np.isnan(multiple.real)
    assert np.isfinite(found[f"kernel distance ({IMAGENET})"].estimate.value)
