"""Known pixels stay what they are; the others are sampled around them."""

from __future__ import annotations

import dataclasses

import torch

from napari_cosynth.diffusion import joint
from napari_cosynth.diffusion.clamp import ClampedSampler, Known, WindowNoise
from napari_cosynth.diffusion.sampler import SdeDpmSolver, SeededNoise
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.tensors import Clean, JointState


def known_left_half(size: int = 8) -> Known:
    generator = torch.Generator().manual_seed(1)
    state = JointState(
        torch.rand(1, 3, size, size, generator=generator) * 2 - 1,
        torch.rand(1, 1, size, size, generator=generator) * 2 - 1,
        torch.randint(0, 4, (1, size, size), generator=generator),
    )
    mask = torch.zeros(1, size, size, dtype=torch.bool)
    mask[..., : size // 2] = True
    return Known(state, mask, mask, joint.Noise.draw(1, size, size, generator))


def step(known: Known, t: float, s: float) -> JointState:
    schedule = JointSchedule()
    sampler = ClampedSampler(SdeDpmSolver(schedule), known, schedule, 4)
    size = known.image_mask.shape[-1]
    state = JointState(
        torch.zeros(1, 3, size, size),
        torch.zeros(1, 1, size, size),
        torch.zeros(1, size, size, dtype=torch.long),
    )
    clean = Clean(state.image, state.distance, torch.full((1, 4, size, size), 0.25))
    times = torch.tensor([t, s], dtype=torch.float64)
    return sampler.step(state, clean, "cross-entropy", times[0], times[1], SeededNoise([0]))


def test_known_pixels_are_exact_after_the_last_step() -> None:
    known = known_left_half()
    out = step(known, 0.5, 0.0)
    half = known.image_mask.shape[-1] // 2
    for found, wanted in (
        (out.image, known.state.image),
        (out.distance, known.state.distance),
        (out.labels, known.state.labels),
    ):
        assert torch.equal(found[..., :half], wanted[..., :half])
        assert not torch.equal(found[..., half:], wanted[..., half:])


def test_of_a_real_image_only_the_image_is_held() -> None:
    known = known_left_half()
    nowhere = torch.zeros_like(known.label_mask)
    out = step(dataclasses.replace(known, label_mask=nowhere), 0.5, 0.0)
    half = nowhere.shape[-1] // 2
    assert torch.equal(out.image[..., :half], known.state.image[..., :half])
    assert not torch.equal(out.distance[..., :half], known.state.distance[..., :half])
    assert not torch.equal(out.labels[..., :half], known.state.labels[..., :half])


def test_known_pixels_are_at_the_level_of_each_step() -> None:
    known = known_left_half()
    schedule = JointSchedule()
    out = step(known, 0.8, 0.6)
    times = torch.tensor([0.6], dtype=torch.float64)
    wanted = joint.corrupt(known.state, known.noise, times, schedule, 4)
    half = known.image_mask.shape[-1] // 2
    assert torch.equal(out.image[..., :half], wanted.image[..., :half])
    assert torch.equal(out.labels[..., :half], wanted.labels[..., :half])


def test_a_window_sees_the_noise_of_its_place() -> None:
    whole, window = SeededNoise([3]), WindowNoise(3, (16, 24), (slice(4, 12), slice(8, 24)))
    assert torch.equal(whole.normal(3, 16, 24)[..., 4:12, 8:24], window.normal(3, 8, 16))
    assert torch.equal(whole.uniform(16, 24)[..., 4:12, 8:24], window.uniform(8, 16))
