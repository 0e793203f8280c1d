"""Which samplers a checkpoint can be sampled with, and in how many passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from napari_cosynth import registry
from napari_cosynth.diffusion.sampler import Sampler
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.model.checkpoint import CheckpointConfig
from napari_cosynth.types import Request
from napari_cosynth.types.recipe import FAST, FEW, usual_sampler, usual_steps


def sampler_of(config: CheckpointConfig, name: str) -> Callable[[JointSchedule], Sampler]:
    """What makes the sampler of a name, anew for each sample.

    Raises ValueError for ``few`` where the weights were not trained for it, and for unknown names.
    """
    sampler: Callable[..., Sampler] = registry.resolve("sampler", name)
    if name != FEW:
        return sampler
    if not config.nodes:
        raise ValueError(
            f"sampler: {FEW} needs weights that were trained for it, and these were not; "
            f"use {FAST} ({usual_steps(FAST, 0)} steps)"
        )
    return partial(sampler, times=config.nodes)


def settled(request: Request, config: CheckpointConfig) -> Request:
    """A request with its sampler and its number of passes named.

    Raises ValueError where the checkpoint cannot be sampled so.
    """
    sampler, steps = settle(request.sampler, request.steps, config)
    return replace(request, sampler=sampler, steps=steps)


def settle(sampler: str, steps: int, config: CheckpointConfig) -> tuple[str, int]:
    """The sampler and its number of passes where either is left open: an empty name, 0 passes.

    Raises ValueError where the checkpoint cannot be sampled so.
    """
    sampler = registry.canonical("sampler", sampler)
    if not sampler:
        sampler, usual = default_sampler(config)
        if steps > usual and sampler == FEW:
            sampler = FAST
    if not steps:
        steps = usual_steps(sampler, len(config.nodes))
    sampler_of(config, sampler)(JointSchedule()).nodes(steps)
    return sampler, steps


def default_sampler(config: CheckpointConfig) -> tuple[str, int]:
    """The sampler and passes of a checkpoint: ``few`` where it was trained for it, else ``fast``."""
    return usual_sampler(len(config.nodes))
