"""The sampling loop with a denoiser that knows the answer."""

from __future__ import annotations

import math

import pytest
import torch

from napari_cosynth.diffusion.sampler import (
    AncestralSampler,
    DpmSolver,
    FewSampler,
    SdeDpmSolver,
    SeededNoise,
    sample,
)
from napari_cosynth.diffusion.schedule import T_MAX, JointSchedule
from napari_cosynth.diffusion.tensors import Clean, Context, JointState, Prediction

K = 3
SCHEDULE = JointSchedule()
TIMES = (0.999, 0.78, 0.55, 0.32)
NOTHING = Context(torch.zeros(0), torch.zeros(0), torch.zeros(0))


class Oracle:
    """Always predicts one clean state."""

    classes = K

    def __init__(self, clean: JointState) -> None:
        self.clean = clean

    def prepare(self, condition):
        return NOTHING

    def __call__(self, state, t, context) -> Prediction:
        def v(x0, x_t, schedule):
            a, s = schedule.alpha(t)[0].float(), schedule.sigma(t)[0].float()
            return a * (x_t - a * x0) / s - s * x0

        logits = 40 * torch.nn.functional.one_hot(self.clean.labels, K).movedim(-1, 1).float()
        return Prediction(
            v(self.clean.image, state.image, SCHEDULE.image),
            v(self.clean.distance, state.distance, SCHEDULE.distance),
            logits.expand(len(state.labels), -1, -1, -1),
            "v",
        )


@pytest.fixture
def oracle() -> Oracle:
    generator = torch.Generator().manual_seed(3)
    return Oracle(
        JointState(
            torch.rand(1, 3, 6, 5, generator=generator) * 2 - 1,
            torch.rand(1, 1, 6, 5, generator=generator) * 2 - 1,
            torch.randint(0, K, (1, 6, 5), generator=generator),
        )
    )


@pytest.mark.parametrize(
    "sampler,steps",
    [
        (SdeDpmSolver, 1),
        (SdeDpmSolver, 6),
        (DpmSolver, 6),
        (AncestralSampler, 50),
        (lambda schedule: FewSampler(schedule, TIMES), 4),
        (lambda schedule: FewSampler(schedule, TIMES), 1),
    ],
)
def test_a_certain_denoiser_is_followed(oracle, sampler, steps):
    states = list(
        sample(oracle, NOTHING, sampler(SCHEDULE), SCHEDULE, SeededNoise([5]), (6, 5), steps)
    )
    assert [s.index for s in states] == list(range(1, steps + 1))
    final = states[-1].state
    torch.testing.assert_close(final.image, oracle.clean.image, atol=1e-4, rtol=0)
    torch.testing.assert_close(final.distance, oracle.clean.distance, atol=1e-4, rtol=0)
    assert torch.equal(final.labels, oracle.clean.labels)


@pytest.mark.parametrize("sampler", [SdeDpmSolver, DpmSolver, AncestralSampler])
@pytest.mark.parametrize("steps", [1, 2, 20])
def test_times_fall_from_noise_to_zero(sampler, steps):
    nodes = sampler(SCHEDULE).nodes(steps)
    assert nodes.shape == (steps + 1,) and nodes.dtype == torch.float64
    assert nodes[0] == T_MAX and nodes[-1] == 0
    assert (nodes[1:] < nodes[:-1]).all()


def test_few_goes_through_the_times_it_was_trained_for():
    sampler = FewSampler(SCHEDULE, TIMES)
    for steps, expected in (
        (1, [0.999, 0]),
        (2, [0.999, 0.55, 0]),
        (3, [0.999, 0.78, 0.55, 0]),
        (4, [*TIMES, 0]),
    ):
        assert sampler.nodes(steps).tolist() == expected
    for steps in (0, 5):
        with pytest.raises(ValueError, match=f"few: expected 1 to 4 passes, got {steps}"):
            sampler.nodes(steps)


def test_few_renews_all_of_the_noise(oracle):
    """x_s = alpha_s x0 + sigma_s eps: nothing of x_t is left but what the estimate took from it."""
    sampler, s = FewSampler(SCHEDULE, TIMES), torch.tensor(0.55, dtype=torch.float64)
    shape = (1, 3, 64, 64)
    clean = Clean(
        torch.full(shape, 0.5), torch.zeros(1, 1, 64, 64), torch.full((1, K, 64, 64), 1 / K)
    )
    labels = torch.zeros(1, 64, 64, dtype=torch.int64)
    states = [
        JointState(torch.full(shape, v), torch.zeros(1, 1, 64, 64), labels) for v in (-3.0, 3.0)
    ]
    t = torch.tensor(0.78, dtype=torch.float64)
    first, second = (
        sampler.step(state, clean, "cross-entropy", t, s, SeededNoise([4])) for state in states
    )
    assert torch.equal(first.image, second.image)
    alpha, sigma = float(SCHEDULE.image.alpha(s)), float(SCHEDULE.image.sigma(s))
    assert float(first.image.mean()) == pytest.approx(0.5 * alpha, abs=0.03)
    assert float(first.image.std()) == pytest.approx(sigma, rel=0.02)


def test_noise_of_a_seed_does_not_depend_on_its_neighbours():
    alone, together = SeededNoise([8]), SeededNoise([7, 8, 9])
    for draw in ("normal", "uniform", "normal"):
        torch.testing.assert_close(getattr(alone, draw)(4, 3)[0], getattr(together, draw)(4, 3)[1])


def test_sampling_leaves_no_inference_mode_behind(oracle):
    steps = sample(oracle, NOTHING, SdeDpmSolver(SCHEDULE), SCHEDULE, SeededNoise([0]), (6, 5), 4)
    next(steps)
    assert not torch.is_inference_mode_enabled()
    steps.close()
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("sampler,kept", [(SdeDpmSolver, False), (DpmSolver, True)])
def test_only_the_fast_sampler_renews_its_noise(sampler, kept):
    """Of x_s = alpha_s x_0 + sigma_s z the rest z stays standard normal; the flow's is the old one,
    the other's is correlated with it by exp(-h), h the step in log SNR / 2."""
    generator = torch.Generator().manual_seed(0)
    clean = JointState(
        torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 64, 64), torch.zeros(1, 64, 64).long()
    )
    t, s = torch.tensor([0.6, 0.4], dtype=torch.float64)
    before = torch.randn(1, 3, 64, 64, generator=generator)
    state = JointState(
        SCHEDULE.image.sigma(t).float() * before, torch.randn(1, 1, 64, 64), clean.labels
    )
    certain = Clean(clean.image, clean.distance, torch.ones(1, K, 64, 64) / K)
    after = sampler(SCHEDULE).step(state, certain, "cross-entropy", t, s, SeededNoise([7]).at(1))
    rest = after.image / SCHEDULE.image.sigma(s).float()
    step = float(SCHEDULE.image.log_snr_half(s) - SCHEDULE.image.log_snr_half(t))
    correlation = float(torch.corrcoef(torch.stack([rest.ravel(), before.ravel()]))[0, 1])
    assert float(rest.std()) == pytest.approx(1, abs=0.03)
    assert correlation == pytest.approx(1 if kept else math.exp(-step), abs=0.03)
    assert math.exp(-step) < 0.8


def test_the_fast_sampler_ends_where_it_was_chosen_to_and_the_others_at_equal_strides():
    """docs/results/first-light.md: t = 0.13."""
    nodes = SdeDpmSolver(SCHEDULE).nodes(20)
    assert torch.allclose(nodes[:-1], torch.linspace(T_MAX, 0.13, 20, dtype=torch.float64))
    for sampler in (DpmSolver, AncestralSampler):
        assert torch.allclose(
            sampler(SCHEDULE).nodes(20), torch.linspace(T_MAX, 0, 21, dtype=torch.float64)
        )
