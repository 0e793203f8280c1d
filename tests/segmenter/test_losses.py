"""HoVer-Net's six losses against loops and cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from napari_cosynth.segmenter.losses import (
    SMOOTH,
    gradient_error,
    gradient_kernel,
    segmentation_losses,
)
from napari_cosynth.segmenter.network import Maps
from napari_cosynth.segmenter.targets import Targets


def test_the_kernel_by_hand():
    kernel = gradient_kernel(3)
    torch.testing.assert_close(kernel, torch.tensor([[-0.5, 0, 0.5], [-1, 0, 1], [-0.5, 0, 0.5]]))


def test_the_losses_by_loops():
    rng = np.random.default_rng(0)
    batch, classes, side = 2, 3, 7
    maps = Maps(
        *(
            torch.from_numpy(rng.normal(size=(batch, n, side, side))).float()
            for n in (2, 2, classes)
        )
    )
    types = rng.integers(0, classes, (batch, side, side))
    offsets = rng.uniform(-1, 1, (batch, 2, side, side)) * (types > 0)[:, None]
    losses = segmentation_losses(
        maps, Targets(torch.from_numpy(offsets).float(), torch.from_numpy(types))
    )

    squared = [
        (float(maps.offsets[b, c, y, x]) - offsets[b, c, y, x]) ** 2
        for b, c, y, x in np.ndindex(batch, 2, side, side)
    ]
    assert float(losses.offsets) == pytest.approx(np.mean(squared), rel=1e-5)

    def slope(values, y, x, vertical):
        total = 0.0
        for dy in range(-2, 3):
            for dx in range(-2, 3):
                if (dy or dx) and 0 <= y + dy < side and 0 <= x + dx < side:
                    step = dy if vertical else dx
                    total += values[y + dy, x + dx] * step / (dy * dy + dx * dx)
        return total

    total, count = 0.0, 0
    found = maps.offsets.numpy()
    for b, y, x in np.ndindex(batch, side, side):
        if types[b, y, x]:
            count += 1
            for c in (0, 1):
                wrong = slope(found[b, c], y, x, c == 1) - slope(offsets[b, c], y, x, c == 1)
                total += wrong**2
    assert float(losses.gradients) == pytest.approx(total / count, rel=1e-4)

    for logits, truth, entropy, dice in (
        (maps.nuclei, (types > 0).astype(int), losses.nuclei_entropy, losses.nuclei_dice),
        (maps.types, types, losses.types_entropy, losses.types_dice),
    ):
        p = np.exp(logits.numpy())
        p /= p.sum(1, keepdims=True)
        expected = np.mean(
            [-math.log(p[b, truth[b, y, x], y, x]) for b, y, x in np.ndindex(truth.shape)]
        )
        assert float(entropy) == pytest.approx(expected, rel=1e-5)
        expected = 0.0
        for c in range(p.shape[1]):
            own = truth == c
            top = 2 * p[:, c][own].sum() + SMOOTH
            expected += 1 - top / (p[:, c].sum() + own.sum() + SMOOTH)
        assert float(dice) == pytest.approx(expected, rel=1e-5)

    weights = (1, 2, 1, 1, 1, 1)
    terms = (
        losses.offsets,
        losses.gradients,
        losses.nuclei_entropy,
        losses.nuclei_dice,
        losses.types_entropy,
        losses.types_dice,
    )
    expected = sum(w * float(t) for w, t in zip(weights, terms, strict=True))
    assert float(losses.total) == pytest.approx(expected, rel=1e-6)


def test_the_truth_itself_costs_nothing():
    types = torch.zeros(1, 8, 8, dtype=torch.int64)
    types[:, 2:6, 2:6] = 1
    offsets = torch.randn(1, 2, 8, 8)
    sure = 50.0 * torch.nn.functional.one_hot(types, 2).movedim(-1, 1)
    losses = segmentation_losses(Maps(sure, offsets, sure), Targets(offsets, types))
    assert float(losses.total) == pytest.approx(0, abs=1e-5)


def test_slopes_count_the_same_on_a_coarser_grid():
    """A ramp of 0.1 a pixel of 0.25 µm is one of 0.2 a pixel of 0.5 µm."""
    nuclei = torch.zeros(1, 15, 15, dtype=torch.bool)
    nuclei[:, 7, 7] = True
    ramp = torch.arange(15.0).expand(1, 2, 15, 15)
    flat = torch.zeros_like(ramp)
    fine = gradient_error(0.1 * ramp, flat, nuclei, 0.25)
    coarse = gradient_error(0.2 * ramp, flat, nuclei, 0.5)
    torch.testing.assert_close(fine, coarse)
    assert float(fine) > 0


def test_gradients_outside_nuclei_do_not_count():
    nuclei = torch.zeros(1, 9, 9, dtype=torch.bool)
    found = torch.randn(1, 2, 9, 9)
    assert float(gradient_error(found, torch.zeros_like(found), nuclei)) == 0
