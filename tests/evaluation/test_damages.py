"""Damages keep what they say they keep."""

from __future__ import annotations

import torch

from napari_cosynth.evaluation.encoders.damages import DAMAGES, damaged, scrambled, warped


def images(count: int = 3) -> torch.Tensor:
    return 0.2 * torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_random_phases_keep_spectrum_and_mean():
    x = images()
    cloud = scrambled(x, torch.Generator().manual_seed(1))
    torch.testing.assert_close(cloud.mean((2, 3)), x.mean((2, 3)))
    power = [torch.fft.rfft2(v - v.mean((2, 3), keepdim=True)).abs() for v in (x, cloud)]
    torch.testing.assert_close(*power, atol=1e-3, rtol=1e-3)
    correlation = torch.corrcoef(torch.stack([x[0, 0].ravel(), cloud[0, 0].ravel()]))[0, 1]
    assert abs(correlation) < 0.3


def test_outlines_stay_where_nothing_moves_them():
    x, still = images(), torch.zeros(3, 1, 1, 1)
    torch.testing.assert_close(warped(x, still, torch.Generator()), x, atol=1e-5, rtol=0)
    moved = warped(x, still + 3, torch.Generator().manual_seed(1))
    assert (moved - x).abs().mean() > 0.05


def test_what_is_not_damaged_is_as_it_was():
    x = images(64).clamp(-1, 1)
    shown, amounts = damaged(x, torch.zeros(64, 1, 32, 32), torch.Generator().manual_seed(2))
    assert amounts.shape == (64, DAMAGES)
    whole = (amounts == 0).all(1)
    assert 0.3 < whole.float().mean() < 0.8
    torch.testing.assert_close(shown[whole], x[whole], atol=1e-5, rtol=0)
    assert ((shown - x).abs().mean((1, 2, 3))[~whole] > 1e-4).all()
