"""How clearly haematoxylin tells nuclei from the rest: the form for losses against the figure."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from napari_cosynth.evaluation.metrics.texture import texture
from napari_cosynth.training.adversarial.losses import separation, separation_error


def tissue(contrast: float) -> tuple[np.ndarray, np.ndarray]:
    """Pink noise with violet squares, uint8 (96, 96, 3), and their labels."""
    rng = np.random.default_rng(0)
    labels = np.zeros((96, 96), np.uint8)
    for y in range(8, 96, 24):
        labels[y : y + 10, 8:60] = 1
    red = 190 - contrast * labels + rng.normal(0, 12, labels.shape)
    image = np.stack([red, 0.7 * red, red + 30], -1)
    return image.round().clip(1, 254).astype(np.uint8), labels


def planes(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).movedim(-1, 0)[None].float() / 127.5 - 1


@pytest.mark.parametrize("contrast", [10, 25, 45])
def test_it_goes_with_the_auc_that_is_reported(contrast: float) -> None:
    image, labels = tissue(contrast)
    reported = texture(image[None], labels[None]).auc
    found = separation(planes(image), torch.from_numpy(labels)[None].float())
    assert norm.cdf(float(found) / 2**0.5) == pytest.approx(reported, abs=0.02)


def test_its_gradient_makes_nuclei_paler_that_are_too_clear() -> None:
    (clear, labels), (usual, _) = tissue(45), tissue(25)
    nuclei = torch.from_numpy(labels)[None].long()
    sure = torch.nn.functional.one_hot(nuclei, 2).movedim(-1, 1).float()
    made = planes(clear).requires_grad_()
    error = separation_error(made, sure, planes(usual), nuclei)
    (slope,) = torch.autograd.grad(error, made)
    inside = nuclei[0] > 0
    assert float(error) > 0.5 and torch.isfinite(slope).all()
    assert float(slope[0, 0][inside].mean()) < 0  # more red light, less haematoxylin
    assert float(separation_error(planes(usual), sure, planes(usual), nuclei)) == 0


def test_without_nuclei_or_without_images_there_is_nothing_to_compare() -> None:
    image, _ = tissue(25)
    none = torch.zeros(1, 96, 96)
    assert float(separation(planes(image), none)) == 0
    assert float(separation(planes(image), none + 1)) == 0
    empty = planes(image)[:0]
    assert float(separation_error(empty, none[:0, None], empty, none[:0].long())) == 0
