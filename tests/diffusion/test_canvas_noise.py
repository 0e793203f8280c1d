"""The noise of a pixel depends on its place alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_cosynth.diffusion.canvas_noise import CanvasNoise
from napari_cosynth.geometry.box import Box

WHOLE = Box(0, 0, 200, 150)
PART = Box(37, 60, 131, 149)


def test_a_box_sees_the_noise_of_its_place() -> None:
    whole = CanvasNoise(3, WHOLE).at(5)
    part = whole.within(PART)
    for draw, leading in (("normal", (3,)), ("normal", (1,)), ("uniform", ())):
        expected = getattr(whole, draw)(*leading, *WHOLE.shape)[(..., *PART.slices)]
        assert torch.equal(getattr(part, draw)(*leading, *PART.shape), expected)


def test_steps_draws_and_seeds_differ() -> None:
    box = Box(0, 0, 64, 64)

    def two(seed: int, step: int) -> list[torch.Tensor]:
        noise = CanvasNoise(seed, box).at(step)
        return [noise.normal(1, 64, 64), noise.normal(1, 64, 64)]

    all_ = [*two(1, 0), *two(1, 1), *two(2, 0)]
    for i, one in enumerate(all_):
        assert all(not torch.equal(one, other) for other in all_[:i])


def test_it_is_standard_normal_and_uniform_and_uncorrelated_between_blocks() -> None:
    box = Box(0, 0, 512, 512)
    noise = CanvasNoise(9, box)
    normal, uniform = noise.normal(1, 512, 512)[0, 0], noise.uniform(512, 512)[0]
    assert abs(normal.mean()) < 0.01 and abs(normal.std() - 1) < 0.01
    assert abs(uniform.mean() - 0.5) < 0.01 and uniform.min() >= 0 and uniform.max() < 1
    for moved in ((64, 0), (0, 64), (1, 0), (0, 1)):
        assert abs((normal * normal.roll(moved, (0, 1))).mean()) < 0.01


def test_a_draw_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a draw for"):
        CanvasNoise(0, PART).normal(3, 8, 8)


def test_it_is_philox_of_seed_step_draw_and_block() -> None:
    """A recipe is replayed to the same pixels: these streams may never become others."""
    noise = CanvasNoise(11, Box(0, 64, 128, 128))
    steps = ((0, noise), (0, noise.at(0)), (5, noise.at(5)))
    for step, source in steps:
        for number, kind in enumerate(("normal", "uniform", "normal")):
            found = getattr(source, kind)(2, 128, 64)[0, :, 64:].numpy()
            bits = np.random.Philox(key=[11, 0], counter=[0, 256 * step + number, 1, 1])
            theirs = np.random.Generator(bits)
            draw = theirs.standard_normal if kind == "normal" else theirs.random
            np.testing.assert_array_equal(found, draw((2, 64, 64), dtype=np.float32))
