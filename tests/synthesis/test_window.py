"""A window's part of a canvas and its margin, against the whole canvas with its margin; what it holds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_cosynth.diffusion.sampler import Step
from napari_cosynth.diffusion.tensors import Clean, JointState
from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.frame import Frame
from napari_cosynth.geometry.raster import point_map
from napari_cosynth.model.checkpoint import load
from napari_cosynth.model.encoding import encode_distances, encode_images
from napari_cosynth.synthesis.previews import PreviewClock
from napari_cosynth.synthesis.window import (
    LARGEST_WINDOW,
    Surroundings,
    Window,
    progress_of,
    sample_window,
)
from napari_cosynth.types import Layout, Previews, Request


@pytest.mark.parametrize("seed", range(20))
def test_crop_mask_and_paste_are_those_of_the_padded_canvas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width, y, x, h, w = (int(n) for n in rng.integers(20, 300, 6))
    y, x = min(y, height - 1), min(x, width - 1)
    window = Window.around(Box(y, x, y + h, x + w), (height, width), 16, 32, 128)
    canvas = rng.integers(1, 255, (height, width, 3), np.uint8)
    shown = window.frame.pad(canvas)[window.shown.slices]
    np.testing.assert_array_equal(window.crop(canvas), shown)
    free = np.zeros((height, width), bool)
    free[window.free.slices] = True
    known = window.frame.pad(~free)[window.shown.slices]
    np.testing.assert_array_equal(window.mask, known)
    np.testing.assert_array_equal(window.paste(window.crop(canvas), canvas), canvas)
    assert not (np.array(window.shown.shape) % 16).any()


def test_a_window_that_is_too_large_is_refused() -> None:
    shape, room = (2000, 2000), LARGEST_WINDOW - 64
    start = 496 - Frame(shape, 16).box.y0 % 16  # on the padded canvas' multiples
    largest = Box(start, start, start + room, start + room)
    assert Window.around(largest, shape, 16, 32, 128).shown.shape == (LARGEST_WINDOW,) * 2
    with pytest.raises(ValueError, match=f"at most {LARGEST_WINDOW} pixels a side"):
        Window.around(largest.grown(1), shape, 16, 32, 128)


@pytest.mark.parametrize("annotated", [True, False])
def test_what_is_known_around_is_held_to_the_last_step(
    tiny_checkpoint: Path, layout: Layout, annotated: bool
) -> None:
    """Of a sample its labels and distance too; of a real image nobody knows them."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (*layout.shape, 3)).astype(np.uint8)
    labels = rng.integers(0, 4, layout.shape).astype(np.uint8)
    distance = rng.random(layout.shape, np.float32)
    window = Window.around(Box(20, 20, 44, 44), layout.shape, 2, 8, 16)
    around = Surroundings(image, labels, distance) if annotated else Surroundings(image)
    request = Request(layout, "tissue", str(tiny_checkpoint), steps=2, seeds=(3,), sampler="fast")
    *_, step = sample_window(
        request, load(tiny_checkpoint), torch.device("cpu"), point_map(layout), window, around
    )
    mask, state = window.mask, step.state
    image_there = encode_images(window.crop(image)[None])[0]
    assert torch.equal(state.image[0][:, mask], image_there[:, mask])
    assert not torch.equal(state.image[0][:, ~mask], image_there[:, ~mask])
    held = (state.labels[0].numpy() == window.crop(labels))[mask].mean()
    there = encode_distances(window.crop(distance)[None])[0]
    assert torch.equal(state.distance[0][:, mask], there[:, mask]) == annotated
    assert held == 1 if annotated else held < 0.6
    if not annotated:  # sampled with the rest, not taken for background
        assert (state.labels[0].numpy()[mask] > 0).any()
        assert (state.distance[0].numpy()[:, mask] > -1).any()


def test_what_is_held_in_the_free_part_is_known_and_the_rest_of_it_is_not() -> None:
    held = np.random.default_rng(0).random((20, 30)) < 0.5
    window = Window.around(Box(40, 30, 60, 60), (100, 90), 16, 8, 16)
    canvas = np.ones((100, 90), bool)
    for what in (None, held):
        canvas[40:60, 30:60] = False if what is None else what
        found = dataclasses.replace(window, held=what).mask
        np.testing.assert_array_equal(found, window.crop(canvas))


def test_progress_is_of_the_first_seed(layout: Layout) -> None:
    state = JointState(
        torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8), torch.zeros(1, 8, 8).long()
    )
    clean = Clean(state.image, state.distance, torch.eye(4)[state.labels].movedim(-1, 1))
    for every, shown in ((0, False), (2, True), (3, False)):
        request = Request(layout, "", "x", steps=5, seeds=(3, 4))
        step = Step(2, state, clean)
        found = progress_of(request, PreviewClock(Previews(every), 5), step, lambda *pair: pair)
        assert (found.seed, found.index, found.count, found.step, found.steps) == (3, 0, 1, 2, 5)
        assert (found.image is not None) == (found.labels is not None) == shown
