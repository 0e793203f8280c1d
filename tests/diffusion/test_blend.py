"""The way back of a step, and a region that begins in its surroundings' colours."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage as ndi

from napari_cosynth.diffusion import categorical, gaussian, joint
from napari_cosynth.diffusion.blend import BEGIN, PASSES, SPREAD, _Colours, blended, spread
from napari_cosynth.diffusion.clamp import ClampedSampler, Known
from napari_cosynth.diffusion.sampler import FewSampler, Sampler, SdeDpmSolver, SeededNoise, Step
from napari_cosynth.diffusion.schedule import CosineSchedule, JointSchedule
from napari_cosynth.diffusion.tensors import Context, JointState, Prediction

SCHEDULE = JointSchedule()
NOTHING = Context(torch.zeros(0), torch.zeros(0), torch.zeros(0))
S, T = torch.tensor(0.3, dtype=torch.float64), torch.tensor(0.6, dtype=torch.float64)


def test_there_from_a_noisy_state_is_there_from_the_clean_one() -> None:
    one, generator = CosineSchedule(), torch.Generator().manual_seed(0)
    x0 = torch.full((1, 1, 400, 400), 0.7)
    x_s = gaussian.corrupt(x0, torch.randn(x0.shape, generator=generator), S[None], one)
    x_t = gaussian.renoise(x_s, torch.randn(x0.shape, generator=generator), S, T, one)
    assert abs(float(x_t.mean() - 0.7 * one.alpha(T))) < 0.01
    assert abs(float(x_t.std() - one.sigma(T))) < 0.01


def test_labels_there_from_a_noisy_state_are_there_from_the_clean_one() -> None:
    one, generator = CosineSchedule(), torch.Generator().manual_seed(0)
    labels = torch.full((1, 400, 400), 2)
    draw = torch.rand((2, 1, 400, 400), generator=generator)
    l_s = categorical.corrupt(labels, draw[0], S[None], one, 4)
    l_t = categorical.renoise(l_s, draw[1], S, T, one, 4)
    share = torch.bincount(l_t.flatten(), minlength=4) / l_t.numel()
    kept = one.alpha_bar(T)
    wanted = torch.tensor([1.0, 1, 1, 1]) * (1 - kept).float() / 4
    wanted[2] += kept.float()
    torch.testing.assert_close(share, wanted, atol=0.005, rtol=0)


def test_surroundings_spread_into_what_is_unknown() -> None:
    image = torch.zeros(1, 3, 60, 90)
    image[..., 45:] = 1
    known = torch.ones(1, 60, 90, dtype=torch.bool)
    known[:, 20:40, 10:80] = False
    image[0, :, 20:40, 10:80] = 99
    found = spread(image, known)
    assert torch.equal(found[:, :, :20], image[:, :, :20])
    assert found.max() <= 1 and found.min() >= 0
    row = found[0, 0, 30, 10:80]
    assert (row.diff() >= 0).all() and row[0] < 0.2 and row[-1] > 0.8


def test_what_no_surroundings_reach_has_their_mean() -> None:
    """The spreading is scipy's Gaussian, zero beyond the rim and cut off at three sigma."""
    rng = np.random.default_rng(0)
    image, known = rng.uniform(-1, 1, (1, 3, 40, 260)), np.zeros((1, 40, 260), bool)
    known[:, ::3, :20] = True
    found = spread(torch.from_numpy(image), torch.from_numpy(known)).numpy()[0]

    def blurred(plane: np.ndarray) -> np.ndarray:
        return ndi.gaussian_filter(plane.astype(float), SPREAD, mode="constant", radius=72)

    weight = blurred(known[0])
    for channel, plane in zip(found, image[0], strict=True):
        mean = plane[known[0]].mean()
        wanted = (blurred(plane * known[0]) + 1e-6 * mean) / (weight + 1e-6)
        np.testing.assert_allclose(channel[~known[0]], wanted[~known[0]], atol=1e-6)
        np.testing.assert_allclose(channel[:, 100:], mean)
        np.testing.assert_array_equal(channel[known[0]], plane[known[0]])


def test_a_steered_estimate_stays_an_image_s() -> None:
    known = torch.zeros(1, 8, 8, dtype=torch.bool)
    known[:, :, :4] = True
    for colour in (-1.0, 1.0):
        state = JointState(
            torch.full((1, 3, 8, 8), colour), torch.zeros(1, 1, 8, 8), torch.zeros(1, 8, 8).long()
        )
        noise = joint.Noise.draw(1, 8, 8, torch.Generator().manual_seed(0))
        clean = torch.linspace(-1, 1, 8).expand(1, 3, 8, 8)
        steered = _Colours(Known(state, known, known, noise)).steer(clean)
        assert steered.abs().max() == 1 and (steered[..., 4:] == colour).any()


def test_an_estimate_takes_the_surroundings_colours_and_keeps_its_texture() -> None:
    generator = torch.Generator().manual_seed(2)
    known = torch.ones(1, 96, 96, dtype=torch.bool)
    known[:, 24:72, 24:72] = False
    image = torch.full((1, 3, 96, 96), -0.4)
    state = JointState(image, torch.zeros(1, 1, 96, 96), torch.zeros(1, 96, 96).long())
    held = Known(state, known, torch.zeros_like(known), joint.Noise.draw(1, 96, 96, generator))
    texture = 0.2 * torch.randn(1, 3, 96, 96, generator=generator)
    steered = _Colours(held).steer(0.3 + texture)
    inside, outside = ~known[0], known[0]
    assert torch.equal(steered[:, :, outside], (0.3 + texture).clamp(-1, 1)[:, :, outside])
    assert abs(float(steered[:, :, inside].mean()) + 0.4) < 0.02
    there, before = steered[:, :, inside].flatten(), texture[:, :, inside].flatten()
    assert torch.corrcoef(torch.stack([there, before]))[0, 1] > 0.98


def passes(inner: Sampler, steps: int) -> tuple[list[float], list[Step]]:
    """The times of the network's passes, and the steps; what is known is there in the end."""
    times: list[float] = []

    class Grey:
        classes = 3

        def prepare(self, condition):
            return NOTHING

        def __call__(self, state, t, context) -> Prediction:
            times.append(float(t[0]))
            return Prediction(
                state.image, state.distance, torch.zeros(1, 3, *state.labels.shape[1:]), "v"
            )

    shape = (16, 32)
    state = JointState(
        torch.rand(1, 3, *shape), torch.zeros(1, 1, *shape), torch.zeros(1, *shape).long()
    )
    known = torch.ones(1, *shape, dtype=torch.bool)
    known[:, 4:12, 8:24] = False
    noise = joint.Noise.draw(1, *shape, torch.Generator().manual_seed(1))
    held = Known(state, known, torch.zeros_like(known), noise)
    sampler = ClampedSampler(inner, held, SCHEDULE, 3)
    done = list(blended(Grey(), NOTHING, sampler, SCHEDULE, SeededNoise([0]), shape, steps))
    final = done[-1].state
    assert torch.equal(final.image[0, :, known[0]], state.image[0, :, known[0]])
    return times, done


def test_steps_are_taken_twice_from_the_node_it_begins_at() -> None:
    times, steps = passes(SdeDpmSolver(SCHEDULE), 10)
    assert [s.index for s in steps] == list(range(steps[0].index, 11))
    assert BEGIN <= times[0] < 0.95 and len(times) == PASSES * (len(steps) - 1) + 1


def test_a_step_from_pure_noise_which_the_way_back_would_forget_is_taken_once() -> None:
    times, steps = passes(FewSampler(SCHEDULE, (0.999, 0.78, 0.55, 0.32)), 4)
    assert [s.index for s in steps] == [1, 2, 3, 4]
    torch.testing.assert_close(times, [0.999, 0.78, 0.78, 0.55, 0.55, 0.32])
