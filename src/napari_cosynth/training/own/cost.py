"""What a run will take: work in passes of the network over a megapixel, time, and room on the disk.

The work is counted, and the time of a pass is what sampling takes on the same machine; a run that goes on
measures its steps, and then only what is between them is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it imports torch, which only reading a recipe needs
    from napari_cosynth.training.config import Recipe, StageConfig

GRADIENT = 4.0
"""Passes that a forward pass and its gradients take."""
JUDGED = 6.0
"""Passes that the discriminator and its features take for a patch: what steps of 3.2 s (few) and 1.9 s
(4 patches of 96 x 96, without one) leave on the same core (docs/results/few.md, docs/training.md)."""
STATE_BYTES = 16
"""Of a weight in a state: itself, its average and AdamW's two moments."""
DISCRIMINATOR_BYTES = 4_000_000
"""Of a discriminator's state."""
MODEL_BYTES = 2
"""Of a weight in the exported model."""
PICTURE_BYTES = 8
"""Of a pixel of a sample in the grid: five pictures, compressed."""


@dataclass(frozen=True)
class Cost:
    """A run in megapixel passes of its network, and in bytes."""

    steps: int
    step: float
    """Of a step, on average."""
    between: float
    """Of a validation with its samples."""
    every: int
    """Steps between two validations."""
    disk: int
    """Bytes, with the moment in which a state is written beside the one before."""

    def seconds(self, of_pass: float, done: int = 0) -> float:
        """Of what is left after ``done`` steps, where a megapixel pass takes ``of_pass`` seconds."""
        left = self.steps - done
        validations = -(-self.steps // self.every) - done // self.every
        return of_pass * (left * self.step + validations * self.between)

    def seconds_as_measured(self, of_step: float, done: int) -> float:
        """The same where a step was measured to take ``of_step`` seconds."""
        return self.seconds(of_step / self.step, done)


def cost_of(recipe: Recipe, weights: int) -> Cost:
    """The cost of a recipe whose model has so many weights."""
    work = sum(stage.steps * _step(recipe, stage) for stage in recipe.stages)
    validated = recipe.validation_patches * recipe.validation_crop**2
    passes = 1 if recipe.sample_guidance in (0.0, 1.0) else 2
    grid = recipe.sample_layouts * recipe.sample_shape**2
    sampled = grid * recipe.sample_steps * passes
    states = 2 * (STATE_BYTES * weights + (DISCRIMINATOR_BYTES if recipe.adversarial else 0))
    grids = -(-recipe.total_steps // recipe.validate_every) * grid * PICTURE_BYTES
    return Cost(
        recipe.total_steps,
        work / recipe.total_steps,
        (validated + sampled) / 1e6,
        recipe.validate_every,
        states + 2 * MODEL_BYTES * weights + grids,
    )


def _step(recipe: Recipe, stage: StageConfig) -> float:
    """Megapixel passes of a step."""
    settings = recipe.adversarial
    rows = settings.rows if settings else 0
    passes = GRADIENT * (stage.batch - rows)
    if settings:
        # On average half of the passes come before the one with gradient.
        passes += rows * ((len(settings.nodes) - 1) / 2 + GRADIENT + JUDGED)
    return passes * stage.crop**2 / 1e6
