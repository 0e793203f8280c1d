"""Sampling of a region of a real image, in the colours of its surroundings.

Clamping the surroundings alone leaves two faults, and each has its remedy here:

- A region sampled from pure noise takes its colours from the first estimates, which hardly see the
  surroundings. So sampling begins later, at ``BEGIN``, in a smooth continuation of the surroundings with
  that time's noise (Meng et al. 2022). That noise leaves large patches of colour and hides smaller ones.
- A region that is sampled once hardly adapts to its surroundings. So every step is taken ``PASSES``
  times, with the step back in between (Lugmayr et al. 2022).

docs/results/regions.md has figures.

The sampler ``few`` has no node between pure noise and ``BEGIN``, and its weights know no other beginning
than noise. So it begins in noise, and its colours come from the look. A step back to pure noise would
forget the step, so the first one is taken once: four nodes take six passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_cosynth.diffusion import categorical, gaussian, joint
from napari_cosynth.diffusion.clamp import ClampedSampler, Known
from napari_cosynth.diffusion.sampler import NoiseSource, Step, initial_state
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.tensors import Context, Denoiser, JointState

BEGIN = 0.8
"""Time at which sampling begins: at the last node not below it. Of 20 steps that is the fifth node, of
``few``'s it is pure noise."""
PASSES = 2
"""Times that each step is taken."""
FORGETS = 0.95
"""From this time up the state is nearly pure noise and keeps nothing; a step from there is taken once."""
STEERED = 0.3
"""Above this time the clean estimate takes the surroundings' low frequencies; below it, it is free."""
SPREAD = 24.0
"""Sigma, in pixels, of the Gaussian that carries the surroundings' colours into the region."""


def blended(
    denoiser: Denoiser,
    context: Context,
    sampler: ClampedSampler,
    schedule: JointSchedule,
    noise: NoiseSource,
    shape: tuple[int, int],
    steps: int,
) -> Iterator[Step]:
    """Every state of a region between known pixels, like
    :func:`napari_cosynth.diffusion.sampler.sample`. The steps before the first node are left out, so the
    first step's index may be above 1."""
    nodes = sampler.nodes(steps)
    first = int((nodes >= BEGIN).sum()) - 1
    with torch.inference_mode():
        colours = _Colours(sampler.known)
        state = initial_state(noise.at(0), *shape, denoiser.classes)
        if first:
            state = _begin(state, colours.image, sampler.known, nodes[first], schedule)
    for index in range(first, steps):
        t, s = nodes[index], nodes[index + 1]
        drawn = noise.at(index + 1)
        with torch.inference_mode():
            memory = sampler.before
            again = float(s) > 0 and float(t) < FORGETS
            for left in reversed(range(PASSES if again else 1)):
                prediction = denoiser(state, t.expand(len(state.labels)), context)
                clean = joint.estimate(prediction, state, t, schedule)
                if float(t) > STEERED:
                    clean = replace(clean, image=colours.steer(clean.image))
                sampler.before = memory
                state = sampler.step(state, clean, prediction.label_head, t, s, drawn)
                if left:
                    state = _back(state, s, t, schedule, drawn, denoiser.classes)
        yield Step(index + 1, state, clean)


class _Colours:
    """The surroundings' colours, continued into the region; large patches are steered towards them."""

    def __init__(self, known: Known) -> None:
        self.image = spread(known.state.image, known.image_mask)
        self._free = (~known.image_mask[:, None]).to(self.image.dtype)
        self._weight = _blurred(self._free).clamp_min(1e-6)

    def steer(self, clean: Tensor) -> Tensor:
        """The estimate with the region's low frequencies replaced and its high ones kept."""
        away = _blurred((self.image - clean) * self._free) / self._weight
        return (clean + away * self._free).clamp(-1, 1)


def _begin(
    pure: JointState, image: Tensor, known: Known, t: Tensor, schedule: JointSchedule
) -> JointState:
    """The state at ``t`` of ``image`` without nuclei. ``pure`` is noise with uniform labels; the labels
    are kept, since labels at that time are nearly uniform."""
    times = t.expand(len(pure.labels))
    background = -torch.ones_like(pure.distance)
    return JointState(
        gaussian.corrupt(image, known.noise.image, times, schedule.image),
        gaussian.corrupt(background, pure.distance, times, schedule.distance),
        pure.labels,
    )


def _back(
    state: JointState,
    s: Tensor,
    t: Tensor,
    schedule: JointSchedule,
    noise: NoiseSource,
    classes: int,
) -> JointState:
    return JointState(
        gaussian.renoise(state.image, noise.normal(*state.image.shape[1:]), s, t, schedule.image),
        gaussian.renoise(
            state.distance, noise.normal(*state.distance.shape[1:]), s, t, schedule.distance
        ),
        categorical.renoise(
            state.labels,
            noise.uniform(*state.labels.shape[1:]),
            s,
            t,
            schedule.labels,
            classes,
        ),
    )


def spread(image: Tensor, known: Tensor) -> Tensor:
    """The image (B, C, H, W) with each unknown pixel replaced by a Gaussian mean of the known ones.

    ``known`` is bool (B, H, W).
    """
    weight = known[:, None].to(image.dtype)
    # The mean of all known pixels, with a tiny weight, for pixels that the Gaussian does not reach.
    mean = (image * weight).sum((2, 3), keepdim=True) / weight.sum((2, 3), keepdim=True).clamp_min(
        1
    )
    least = 1e-6
    smooth = (_blurred(image * weight) + least * mean) / (_blurred(weight) + least)
    return torch.where(known[:, None], image, smooth)


def _blurred(image: Tensor) -> Tensor:
    """Gaussian blur, zero beyond the rim."""
    reach = int(3 * SPREAD)
    offsets = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (offsets / SPREAD) ** 2)
    kernel = (kernel / kernel.sum()).reshape(1, 1, -1, 1)
    flat = image.flatten(0, 1)[:, None]
    down = F.conv2d(flat, kernel, padding=(reach, 0))
    both = F.conv2d(down, kernel.movedim(2, 3), padding=(0, reach))
    return both.reshape(image.shape)
