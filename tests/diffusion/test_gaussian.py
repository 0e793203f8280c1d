"""The Gaussian process: schedule, conversions, the ancestral posterior and DPM-Solver++(2M)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from napari_cosynth.diffusion import gaussian
from napari_cosynth.diffusion.schedule import T_MAX, CosineSchedule, uniform_nodes

SCHEDULE = CosineSchedule()


def test_schedule_runs_from_data_to_noise():
    t = torch.linspace(0, 1, 101)
    abar = SCHEDULE.alpha_bar(t)
    assert abar[0] == 1
    assert abar[-1] < 1e-12
    assert (abar.diff() < 0).all()
    torch.testing.assert_close(
        SCHEDULE.alpha(t) ** 2 + SCHEDULE.sigma(t) ** 2, torch.ones_like(abar)
    )


def test_nodes_have_the_ends_of_the_method():
    nodes = uniform_nodes(20)
    assert len(nodes) == 21
    assert float(nodes[0]) == T_MAX
    assert float(nodes[-1]) == 0
    with pytest.raises(ValueError, match="steps"):
        uniform_nodes(0)


@pytest.mark.parametrize("kind", ["epsilon", "v"])
def test_clean_inverts_corrupt(kind):
    generator = torch.Generator().manual_seed(0)
    x0 = torch.rand(3, 2, 4, 4, generator=generator, dtype=torch.float64) * 2 - 1
    noise = torch.randn(3, 2, 4, 4, generator=generator, dtype=torch.float64)
    t = torch.tensor([0.01, 0.5, 0.99])
    x_t = gaussian.corrupt(x0, noise, t, SCHEDULE)
    raw = gaussian.target(x0, noise, t, SCHEDULE, kind)
    torch.testing.assert_close(gaussian.clean(raw, x_t, t, SCHEDULE, kind), x0)


def test_ancestral_strides_compose():
    """t -> r -> s has the mean and variance of t -> s for a known x_0."""
    t, r, s = (torch.tensor(v, dtype=torch.float64) for v in (0.9, 0.5, 0.2))
    x_t, x0 = torch.tensor([[1.3]]).double(), torch.tensor([[-0.4]]).double()
    zero = torch.zeros_like(x_t)

    def step(x, start, end, noise):
        return gaussian.ancestral_step(x, x0, noise, start, end, SCHEDULE)

    def deviation(start, end):
        return step(x_t, start, end, torch.ones_like(x_t)) - step(x_t, start, end, zero)

    direct_mean = step(x_t, t, s, zero)
    composed_mean = step(step(x_t, t, r, zero), r, s, zero)
    torch.testing.assert_close(composed_mean, direct_mean)
    gain = step(x_t + 1, r, s, zero) - step(x_t, r, s, zero)
    composed_variance = gain**2 * deviation(t, r) ** 2 + deviation(r, s) ** 2
    torch.testing.assert_close(composed_variance, deviation(t, s) ** 2)


@pytest.mark.parametrize("steps", [5, 20])
@pytest.mark.parametrize("stochastic", [False, True])
def test_multistep_is_diffusers_dpm_solver(steps, stochastic):
    """The same model, on diffusers' own sigmas, gives diffusers' trajectory."""
    from diffusers import DPMSolverMultistepScheduler

    scheduler = DPMSolverMultistepScheduler(
        beta_schedule="squaredcos_cap_v2",
        algorithm_type="sde-dpmsolver++" if stochastic else "dpmsolver++",
        solver_order=2,
        prediction_type="sample",
        solver_type="midpoint",
        lower_order_final=False,
        euler_at_final=False,
        final_sigmas_type="zero",
    )
    scheduler.set_timesteps(steps)
    sigmas = scheduler.sigmas.double()  # sigma / alpha

    class Tabulated(CosineSchedule):
        """A schedule given by diffusers' table: t is the index from the end."""

        def alpha_bar(self, t):
            ratio = sigmas[(len(sigmas) - 1 - t.round().long())]
            return 1 / (1 + ratio**2)

    def model(x):  # any smooth function serves
        return torch.tanh(0.7 * x + 0.1)

    x = torch.randn(2, 1, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theirs, ours = x.clone(), x.clone()
    before = None
    generator = torch.Generator().manual_seed(1)
    for i, timestep in enumerate(scheduler.timesteps):
        noise = torch.randn(x.shape, generator=generator, dtype=torch.float64)
        theirs = scheduler.step(model(theirs), timestep, theirs, variance_noise=noise).prev_sample
        t, s = (torch.tensor(float(steps - i - d)) for d in (0, 1))
        clean = model(ours)
        previous, t_previous = before or (None, None)
        ours = gaussian.multistep(
            ours, clean, previous, t, s, t_previous, Tabulated(), noise if stochastic else None
        )
        before = (clean, t)
        torch.testing.assert_close(ours, theirs.double(), atol=2e-4, rtol=1e-4)


def test_multistep_solves_a_gaussian_exactly_enough():
    """For x_0 ~ N(0, c^2) the probability flow is known: x_0 = x_1 c / sqrt(...)."""
    c = 0.3
    x1 = torch.tensor([[2.0]], dtype=torch.float64)
    nodes = uniform_nodes(200)

    def best(x, t):
        abar = SCHEDULE.alpha_bar(t)
        return x * abar.sqrt() * c**2 / (abar * c**2 + 1 - abar)

    x, before = x1, None
    for t, s in pairwise(nodes):
        clean = best(x, t)
        previous, t_previous = before or (None, None)
        x = gaussian.multistep(x, clean, previous, t, s, t_previous, SCHEDULE)
        before = (clean, t)
    abar = SCHEDULE.alpha_bar(nodes[0])
    expected = x1 * c / (abar * c**2 + 1 - abar).sqrt()
    np.testing.assert_allclose(x.numpy(), expected.numpy(), rtol=2e-3)


def test_the_schedule_is_nichols_and_dhariwals():
    t, s = np.linspace(0, 0.99, 34), SCHEDULE.s
    angle = (t + s) / (1 + s) * np.pi / 2
    expected = np.cos(angle) ** 2 / np.cos(s / (1 + s) * np.pi / 2) ** 2
    found = SCHEDULE.alpha_bar(torch.from_numpy(t)).double().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6)
