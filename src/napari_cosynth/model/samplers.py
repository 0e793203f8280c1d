"""Samplers and numbers of passes that a checkpoint allows, and its defaults."""

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
    """The factory of this sampler; it is called once per sample, since samplers keep a memory.

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
    """The request with its sampler and number of passes filled in.

    Raises ValueError where the checkpoint does not allow them.
    """
    sampler, steps = settle(request.sampler, request.steps, config)
    return replace(request, sampler=sampler, steps=steps)


def settle(sampler: str, steps: int, config: CheckpointConfig) -> tuple[str, int]:
    """The sampler and number of passes, with defaults for an empty name and for 0 passes.

    Raises ValueError where the checkpoint does not allow them.
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
    """Default sampler and passes: ``few`` where the checkpoint was trained for it, else ``fast``."""
    return usual_sampler(len(config.nodes))
