"""The sampling loop with a denoiser that knows the answer."""

from __future__ import annotations

import pytest
import torch

from napari_cosynth.diffusion.sampler import (
    AncestralSampler,
    FastSampler,
    FlowSampler,
    SeededNoise,
    sample,
)
from napari_cosynth.diffusion.schedule import T_MAX, JointSchedule
from napari_cosynth.diffusion.tensors import Context, JointState, Prediction

K = 3
SCHEDULE = JointSchedule()
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
    "sampler,steps", [(FastSampler, 1), (FastSampler, 6), (FlowSampler, 6), (AncestralSampler, 50)]
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


@pytest.mark.parametrize("sampler", [FastSampler, FlowSampler, AncestralSampler])
@pytest.mark.parametrize("steps", [1, 2, 20])
def test_times_fall_from_noise_to_zero(sampler, steps):
    nodes = sampler(SCHEDULE).nodes(steps)
    assert nodes.shape == (steps + 1,) and nodes.dtype == torch.float64
    assert nodes[0] == T_MAX and nodes[-1] == 0
    assert (nodes[1:] < nodes[:-1]).all()


def test_noise_of_a_seed_does_not_depend_on_its_neighbours():
    alone, together = SeededNoise([8]), SeededNoise([7, 8, 9])
    for draw in ("normal", "uniform", "normal"):
        torch.testing.assert_close(getattr(alone, draw)(4, 3)[0], getattr(together, draw)(4, 3)[1])


def test_sampling_leaves_no_inference_mode_behind(oracle):
    steps = sample(oracle, NOTHING, FastSampler(SCHEDULE), SCHEDULE, SeededNoise([0]), (6, 5), 4)
    next(steps)
    assert not torch.is_inference_mode_enabled()
    steps.close()
    assert not torch.is_inference_mode_enabled()
