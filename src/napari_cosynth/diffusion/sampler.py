"""Samplers, one method ``step`` each, and the loop over states from noise to data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from napari_cosynth.diffusion import categorical, gaussian, joint
from napari_cosynth.diffusion.schedule import CosineSchedule, JointSchedule, uniform_nodes
from napari_cosynth.diffusion.tensors import Clean, Context, Denoiser, JointState, LabelHead


class NoiseSource(Protocol):
    """Source of a sampler's random numbers; the last two of ``shape`` are height and width."""

    def at(self, step: int) -> NoiseSource:
        """The source of one step, 1..steps, asked for in this order; 0 is the initial state's."""
        ...

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, float32 (B, *shape)."""
        ...

    def uniform(self, *shape: int) -> Tensor:
        """Uniform in [0, 1), float32 (B, *shape)."""
        ...


class SeededNoise:
    """One generator per sample, on the CPU: a seed's noise never depends on its neighbours."""

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.device = torch.device(device)

    def at(self, step: int) -> SeededNoise:
        """This source itself: one stream serves all steps in their order."""
        return self

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, float32 (B, *shape)."""
        drawn = [torch.randn(shape, generator=g) for g in self.generators]
        return torch.stack(drawn).to(self.device)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform in [0, 1), float32 (B, *shape)."""
        drawn = [torch.rand(shape, generator=g) for g in self.generators]
        return torch.stack(drawn).to(self.device)


def initial_noise(noise: NoiseSource, height: int, width: int) -> joint.Noise:
    """The noise that a sample begins with."""
    return joint.Noise(
        noise.normal(3, height, width), noise.normal(1, height, width), noise.uniform(height, width)
    )


def initial_state(noise: NoiseSource, height: int, width: int, classes: int) -> JointState:
    """u_1: normal image and distance, uniform labels."""
    drawn = initial_noise(noise, height, width)
    labels = (drawn.labels * classes).long().clamp_max(classes - 1)
    return JointState(drawn.image, drawn.distance, labels)


Memory: TypeAlias = tuple[Clean, Tensor] | None
"""A multistep sampler's memory: the previous step's clean estimate and its time; None before any."""


class Sampler(Protocol):
    """Steps from u_t to u_s, s < t. Each sample needs a new sampler, since it may have a memory."""

    before: Memory
    """A canvas that is sampled part by part sets it before each part."""

    def nodes(self, steps: int) -> Tensor:
        """Times of the steps, from T_MAX to 0, float64 (steps + 1,)."""
        ...

    def step(
        self,
        state: JointState,
        clean: Clean,
        head: LabelHead,
        t: Tensor,
        s: Tensor,
        noise: NoiseSource,
    ) -> JointState:
        """The state at s, from the state and the clean estimate at t. At s = 0 it is the sample.

        ``t`` and ``s`` are float64 scalars; ``head`` tells how the label head was trained.
        """
        ...


def _label_step(
    state: JointState,
    clean: Clean,
    head: LabelHead,
    t: Tensor,
    s: Tensor,
    noise: NoiseSource,
    schedule: JointSchedule,
) -> Tensor:
    if float(s) <= 0:
        return categorical.finish(clean.probabilities, state.labels, t, schedule.labels, head)
    weights = categorical.posterior(clean.probabilities, state.labels, t, s, schedule.labels, head)
    return categorical.draw(weights, noise.uniform(*state.labels.shape[1:]))


class AncestralSampler:
    """The paper's sampler (Eq. 4): a draw from the posterior at every step; it needs no memory."""

    before: Memory = None

    def __init__(self, schedule: JointSchedule) -> None:
        self.schedule = schedule

    def nodes(self, steps: int) -> Tensor:
        return uniform_nodes(steps)

    def step(
        self,
        state: JointState,
        clean: Clean,
        head: LabelHead,
        t: Tensor,
        s: Tensor,
        noise: NoiseSource,
    ) -> JointState:
        labels = _label_step(state, clean, head, t, s, noise, self.schedule)
        if float(s) <= 0:
            return JointState(clean.image, clean.distance, labels)
        image_noise = noise.normal(*state.image.shape[1:])
        distance_noise = noise.normal(*state.distance.shape[1:])
        return JointState(
            self.draw(state.image, clean.image, image_noise, t, s, self.schedule.image),
            self.draw(state.distance, clean.distance, distance_noise, t, s, self.schedule.distance),
            labels,
        )

    @staticmethod
    def draw(
        x_t: Tensor, x0: Tensor, noise: Tensor, t: Tensor, s: Tensor, schedule: CosineSchedule
    ) -> Tensor:
        """x_s of one Gaussian target; ``noise`` is standard normal."""
        return gaussian.ancestral_step(x_t, x0, noise, t, s, schedule)


class SdeDpmSolver:
    """SDE-DPM-Solver++(2M) for image and distance; the exact posterior, at the same times, for labels.

    Every step renews some noise, which removes errors of earlier steps. At 20 steps the texture is
    nearer to real tissue than with the deterministic flow (:class:`DpmSolver`).

    The last step returns the clean estimate at ``last``. Texture is also nearer to real tissue if this
    state has some noise left; the amount was chosen on training tiles (docs/results/first-light.md).
    """

    stochastic = True
    last = 0.13
    """Time of the last clean estimate."""

    def __init__(self, schedule: JointSchedule) -> None:
        self.schedule = schedule
        self.before: Memory = None

    def nodes(self, steps: int) -> Tensor:
        return uniform_nodes(steps, self.last)

    def step(
        self,
        state: JointState,
        clean: Clean,
        head: LabelHead,
        t: Tensor,
        s: Tensor,
        noise: NoiseSource,
    ) -> JointState:
        before, t_before = self.before or (None, None)
        self.before = (clean, t)

        def advance(
            x_t: Tensor, x0: Tensor, x0_before: Tensor | None, schedule: CosineSchedule
        ) -> Tensor:
            fresh = noise.normal(*x_t.shape[1:]) if self.stochastic and float(s) > 0 else None
            return gaussian.multistep(x_t, x0, x0_before, t, s, t_before, schedule, fresh)

        return JointState(
            advance(
                state.image, clean.image, before.image if before else None, self.schedule.image
            ),
            advance(
                state.distance,
                clean.distance,
                before.distance if before else None,
                self.schedule.distance,
            ),
            _label_step(state, clean, head, t, s, noise, self.schedule),
        )


class DpmSolver(SdeDpmSolver):
    """DPM-Solver++(2M) of the probability flow, at equal strides: no noise after the initial state."""

    stochastic = False

    def nodes(self, steps: int) -> Tensor:
        return uniform_nodes(steps)


class FewSampler(AncestralSampler):
    """A few passes at the times that adversarial post-training trained the weights for.

    After each pass but the last the clean estimate gets fresh noise of the next time,
    x_s = alpha_s x0 + sigma_s eps (multistep consistency sampling, Song et al. 2023). Labels follow
    their exact posterior. The last estimate is the sample.
    """

    def __init__(self, schedule: JointSchedule, times: Sequence[float]) -> None:
        super().__init__(schedule)
        self.times = tuple(times)
        """Times of the passes, falling from noise on; fewer passes leave some out, evenly spread."""

    def nodes(self, steps: int) -> Tensor:
        known = len(self.times)
        if not 1 <= steps <= known:
            raise ValueError(f"few: expected 1 to {known} passes, got {steps}")
        chosen = [self.times[i * known // steps] for i in range(steps)]
        return torch.tensor([*chosen, 0.0], dtype=torch.float64)

    @staticmethod
    def draw(
        x_t: Tensor, x0: Tensor, noise: Tensor, t: Tensor, s: Tensor, schedule: CosineSchedule
    ) -> Tensor:
        """x_s from the clean estimate alone."""
        return gaussian.corrupt(x0, noise, s, schedule)


@dataclass(frozen=True)
class Step:
    """One finished step of a sampling run."""

    index: int
    """Steps done, 1..steps."""
    state: JointState
    clean: Clean
    """The estimate the step was taken from; the last one is the result."""


def sample(
    denoiser: Denoiser,
    context: Context,
    sampler: Sampler,
    schedule: JointSchedule,
    noise: NoiseSource,
    shape: tuple[int, int],
    steps: int,
) -> Iterator[Step]:
    """Yields every step from noise to data; the last one's ``state`` is the sample.

    Progress, preview and cancelling need no callbacks: close the generator to stop.
    """
    state = initial_state(noise.at(0), *shape, denoiser.classes)
    nodes = sampler.nodes(steps)
    batch = len(state.labels)
    for index in range(steps):
        t, s = nodes[index], nodes[index + 1]
        # Inference mode must not span a yield: it would leak into the caller.
        with torch.inference_mode():
            prediction = denoiser(state, t.expand(batch), context)
            clean = joint.estimate(prediction, state, t, schedule)
            drawn = noise.at(index + 1)
            state = sampler.step(state, clean, prediction.label_head, t, s, drawn)
        yield Step(index + 1, state, clean)
