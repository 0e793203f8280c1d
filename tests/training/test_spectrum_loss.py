"""The power of images in bands: the form for losses against the one that is reported."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_cosynth.records.spectrum import BANDS, band_power, radial_power
from napari_cosynth.training.adversarial.losses import log_band_power


@pytest.mark.parametrize("side", [96, 64, 31])
def test_the_loss_sees_the_power_that_is_reported(side: int) -> None:
    images = np.random.default_rng(side).integers(0, 256, (2, side, side, 3)).astype(np.uint8)
    images[1] = images[1] // 8 + 100
    reported = [band_power(radial_power(image), side) for image in images]
    planes = torch.from_numpy(images).movedim(-1, 1).float() / 127.5 - 1
    np.testing.assert_allclose(log_band_power(planes).exp().numpy(), reported, rtol=1e-4)


def test_a_band_without_a_frequency_is_left_out() -> None:
    assert log_band_power(torch.zeros(1, 3, 16, 16)).shape == (1, 3)


def test_its_gradient_takes_grain_away() -> None:
    noise = 0.2 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    images = noise.requires_grad_()
    finest = log_band_power(images)[0, 3]
    (slope,) = torch.autograd.grad(finest, images)
    assert log_band_power(images - 0.1 * slope / slope.norm())[0, 3] < finest


def test_a_green_wave_lies_in_its_band_with_the_weight_of_green() -> None:
    x = torch.zeros(1, 3, 32, 32)
    x[0, 1] = torch.sin(2 * np.pi * 6 * torch.arange(32) / 32)  # green: 0.7154 of grey
    powers = log_band_power(x).exp()
    assert powers.shape == (1, len(BANDS)) and powers.argmax() == 2  # 6/32 lies in 1/8 to 1/4
    assert powers[0, 2] / log_band_power(x / 2).exp()[0, 2] == pytest.approx(4, rel=1e-3)
    assert log_band_power(0 * x).exp() == pytest.approx(np.full((1, 4), 1e-3), rel=1e-3)
