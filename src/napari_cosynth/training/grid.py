"""Sample grids: what a model makes of held-out layouts, beside the real tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_cosynth import registry
from napari_cosynth.diffusion.guidance import guided
from napari_cosynth.diffusion.sampler import SeededNoise, sample
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.model.checkpoint import Model
from napari_cosynth.model.encoding import (
    decode_distance,
    decode_image,
    decode_labels,
    encode_condition,
    encode_points,
)
from napari_cosynth.types import Record


def sample_grid(
    model: Model,
    records: Sequence[Record],
    schedule: JointSchedule,
    steps: int,
    sampler: str = "fast",
    guidance: float = 1.0,
) -> npt.NDArray[np.uint8]:
    """One row per record: real image and labels, then sampled image, labels and distance.

    uint8 (rows * H, 5 * W, 3); seed i for row i; ``sampler`` is a name of the registry.
    """
    rows = []
    device = next(model.network.parameters()).device
    for seed, record in enumerate(records):
        prompt = prompt_for(record.layout, record.tissue, record.stain)
        condition = encode_condition(encode_points([record.layout]), [prompt], model.text)
        denoiser = guided(model.network, guidance)
        context = denoiser.prepare(condition)
        noise = SeededNoise([seed], device)
        stepper = registry.resolve("sampler", sampler)(schedule)
        shape = record.layout.shape
        for step in sample(denoiser, context, stepper, schedule, noise, shape, steps):
            final = step.state
        colors = record.classes.colors
        distance = (decode_distance(final.distance)[0] * 255).astype(np.uint8)
        rows.append(
            [
                record.image,
                colors[record.labels],
                decode_image(final.image)[0],
                colors[decode_labels(final.labels)[0]],
                np.stack([distance] * 3, -1),
            ]
        )
    return np.concatenate([np.concatenate(row, 1) for row in rows], 0)
