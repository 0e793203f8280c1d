"""Damages keep what they say they keep."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

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


def test_how_often_and_how_much():
    """Two thirds are damaged, of those a half by clouds and a quarter by each of the rest."""
    x = torch.zeros(9000, 3, 8, 8)
    _, amounts = damaged(x, torch.zeros(9000, 1, 8, 8), torch.Generator().manual_seed(0))
    done = (amounts > 0).float().mean(0)
    expected = 2 / 3 * torch.tensor([0.25, 0.25, 0.5, 0.25])
    torch.testing.assert_close(done, expected, atol=0.02, rtol=0)
    whole = (amounts == 0).all(1).float().mean()
    assert abs(whole - (1 / 3 + 2 / 3 * 0.75**3 * 0.5)) < 0.02
    for k in range(DAMAGES):  # evenly from nothing to all
        some = amounts[:, k][amounts[:, k] > 0]
        assert abs(some.mean() - 0.5) < 0.03 and some.max() > 0.98


def test_each_damage_alone_is_what_it_says():
    x = images(900)
    nuclei = torch.ones(900, 1, 32, 32)
    shown, amounts = damaged(x, nuclei, torch.Generator().manual_seed(5))
    only = [(amounts[:, k] > 0) & ((amounts > 0).sum(1) == 1) for k in range(DAMAGES)]
    blur, noise, clouds, warp = (torch.nonzero(rows)[:, 0] for rows in only)
    assert min(map(len, (blur, noise, clouds, warp))) > 30
    for i in blur[:20]:
        ones = F.avg_pool2d(torch.ones(1, 1, 32, 32), 5, 1, 2)
        mean = F.avg_pool2d(x[i][None], 5, 1, 2)[0] / ones[0]
        expected = x[i] + amounts[i, 0] * (mean - x[i])
        torch.testing.assert_close(shown[i], expected.clamp(-1, 1), atol=1e-4, rtol=0)
    for i in noise:
        added = (shown[i] - x[i])[(x[i].abs() < 0.3) & (shown[i].abs() < 1)]
        if 0.05 < amounts[i, 1] < 0.5:
            assert abs(added.std() / (0.3 * amounts[i, 1]) - 1) < 0.15
    # Where all is nucleus, clouds that spare nuclei leave the middle as it is: half of them.
    spared = [bool((shown[i] - x[i])[:, 2:-2, 2:-2].abs().max() < 1e-5) for i in clouds]
    assert 0.35 < sum(spared) / len(spared) < 0.65
    free, amounts = damaged(x, 0 * nuclei, torch.Generator().manual_seed(5))
    for i in clouds:
        changed = free[i] - x[i]
        cloud = x[i] + changed / amounts[i, 2]
        assert abs(cloud.mean() - x[i].mean()) < 0.02
        assert abs(cloud.std() / x[i].std() - 1) < 0.1
    assert ((shown[warp] - x[warp]).abs().amax((1, 2, 3)) > 1e-3).all()


def test_outlines_waver_by_so_many_pixels_in_waves_of_eight():
    ramps = torch.stack(torch.meshgrid(torch.arange(40.0), torch.arange(64.0), indexing="ij"))
    x = ramps[None].repeat(4, 1, 1, 1)
    pixels = torch.tensor([0.0, 1, 2, 4])[:, None, None, None]
    moved = warped(x, pixels, torch.Generator().manual_seed(3))
    field = torch.randn((4, 2, 5, 8), generator=torch.Generator().manual_seed(3)) * pixels
    field = F.interpolate(field, (40, 64), mode="bicubic")
    # Displacements are (x, y), in units of which the picture is 2 wide and high.
    expected = field.flip(1) * torch.tensor([39 / 40, 63 / 64])[:, None, None]
    inner = np.s_[:, :, 16:-16, 16:-16]
    torch.testing.assert_close((moved - x)[inner], expected[inner], atol=2e-3, rtol=0)
    tiny = warped(x[..., :8, :12], pixels, torch.Generator().manual_seed(3))
    assert (
        torch.isfinite(tiny).all()
        and (tiny - x[..., :8, :12])[1:].abs().amax((1, 2, 3)).gt(0).all()
    )
