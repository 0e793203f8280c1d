"""Samples of held-out layouts during a run: grids that show them beside the real tiles, and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from napari_cosynth.diffusion.guidance import guided
from napari_cosynth.diffusion.sampler import SeededNoise, sample
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.model.checkpoint import CheckpointConfig, Model
from napari_cosynth.model.encoding import (
    decode_distance,
    decode_image,
    decode_labels,
    encode_condition,
    encode_points,
)
from napari_cosynth.model.looks import look_of
from napari_cosynth.model.samplers import sampler_of
from napari_cosynth.records.spectrum import BANDS, band_power, radial_power
from napari_cosynth.types import Record


@dataclass(frozen=True)
class Made:
    """A sample of one record's layout, in the look of the record's image."""

    image: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    distance: npt.NDArray[np.float32]


def sample_records(
    model: Model,
    config: CheckpointConfig,
    records: Sequence[Record],
    steps: int,
    sampler: str = "fast",
    guidance: float = 1.0,
) -> list[Made]:
    """A sample of each record's layout, with seed i for record i.

    ``sampler`` is a name of the registry, ``steps`` its number of passes.
    """
    made = []
    schedule = JointSchedule()
    device = next(model.network.parameters()).device
    for seed, record in enumerate(records):
        prompt = prompt_for(record.layout, record.tissue, record.stain)
        looks = None
        if config.look is not None:
            looks = config.look.standardised(torch.tensor([look_of(record.image)]))
        points = encode_points([record.layout])
        condition = encode_condition(points, [prompt], model.text, looks)
        denoiser = guided(model.network, guidance)
        context = denoiser.prepare(condition)
        noise = SeededNoise([seed], device)
        stepper = sampler_of(config, sampler)(schedule)
        shape = record.layout.shape
        for step in sample(denoiser, context, stepper, schedule, noise, shape, steps):
            final = step.state
        made.append(
            Made(
                decode_image(final.image)[0],
                decode_labels(final.labels)[0],
                decode_distance(final.distance)[0],
            )
        )
    return made


def sample_grid(records: Sequence[Record], made: Sequence[Made]) -> npt.NDArray[np.uint8]:
    """A picture, uint8 (rows * H, 5 * W, 3), with one row per record.

    A row has the real image and labels, then the sampled image, labels and distance.
    """
    rows = []
    for record, sampled in zip(records, made, strict=True):
        colors = record.classes.colors
        distance = (sampled.distance * 255).astype(np.uint8)
        rows.append(
            [
                record.image,
                colors[record.labels],
                sampled.image,
                colors[sampled.labels],
                np.stack([distance] * 3, -1),
            ]
        )
    return np.concatenate([np.concatenate(row, 1) for row in rows], 0)


def sample_figures(records: Sequence[Record], made: Sequence[Made]) -> dict[str, float]:
    """Sampled over real power in each band of frequencies, and nucleus area; 1 is best for both."""
    side = min(records[0].labels.shape)

    def powers(images: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float64]:
        return band_power(np.mean([radial_power(image) for image in images], 0), side)

    ratios = powers([m.image for m in made]) / powers([r.image for r in records])
    figures = {f"power_1/{1 / low:.0f}": float(ratios[i]) for i, (low, _) in enumerate(BANDS)}
    area = sum(int((r.labels > 0).sum()) for r in records)
    figures["nucleus_area"] = sum(int((m.labels > 0).sum()) for m in made) / max(1, area)
    return figures
