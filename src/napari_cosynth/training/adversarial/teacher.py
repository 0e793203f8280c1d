"""A teacher: a larger network whose estimates a smaller one learns in the same adversarial training.

The teacher's weights do not change. It is asked for its clean estimate of the very state that the student
has reached, so the target has the teacher's detail: a state has one estimate, and nothing is averaged.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_cosynth.diffusion import joint
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.tensors import Clean, JointState
from napari_cosynth.model.checkpoint import CheckpointConfig, load
from napari_cosynth.model.encoding import encode_condition
from napari_cosynth.training.data import Batch

_LEAST = 1e-6
"""Least probability of a label; below it the logarithm grows without bound."""


class Teacher:
    """The frozen network of a checkpoint. It is no part of the run's state."""

    def __init__(self, name: str, config: CheckpointConfig) -> None:
        """``config`` is the student's. Raises ValueError where the two read a batch differently."""
        checkpoint = load(name)
        for field in ("class_names", "look", "mpp"):
            theirs, ours = getattr(checkpoint.config, field), getattr(config, field)
            if theirs != ours:
                raise ValueError(
                    f"adversarial.teacher: {name}: its {field} differs from the run's; "
                    "start the run from the teacher (--init)"
                )
        self.model = checkpoint.model.requires_grad_(False).eval()
        self.schedule = JointSchedule()

    @torch.no_grad()
    def estimate(self, state: JointState, t: float, batch: Batch, looks: Tensor | None) -> Clean:
        """Clean estimate of ``state`` at time ``t`` for a batch's points and prompts.

        ``looks`` (B, N) are the standardised looks asked for, or None.
        """
        model = self.model.to(state.image.device)
        condition = encode_condition(batch.points, batch.prompts, model.text, looks)
        context = model.network.prepare(condition)
        return joint.estimate_at(model.network, state, t, context, self.schedule)


def distillation_error(student: Clean, teacher: Clean) -> Tensor:
    """Mean absolute difference of images and of distances, and the labels' Kullback-Leibler divergence.

    Images and distances are in [-1, 1]; the divergence is from the teacher's probabilities (B, K, H, W),
    a mean over pixels. The result is a scalar.
    """
    theirs = teacher.probabilities.float().clamp_min(_LEAST)
    ours = student.probabilities.float().clamp_min(_LEAST)
    divergence = (theirs * (theirs.log() - ours.log())).sum(1).mean()
    image = F.l1_loss(student.image.float(), teacher.image.float())
    return image + F.l1_loss(student.distance.float(), teacher.distance.float()) + divergence
