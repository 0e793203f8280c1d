"""Making of a job's sample: it is drawn until one is good enough, and packed as bytes."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as unpacked
from safetensors.numpy import save as packed

from napari_cosynth.generate.draw import Job
from napari_cosynth.generate.looks import look_at
from napari_cosynth.generate.plan import MEASURES, Quality
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.synthesis.looks import Asked
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.types import ClassTable, Layout, Record, Report, Request, Synthesis
from napari_cosynth.types.recipe import BY_SEED

_ARRAYS = ("image", "labels", "instances", "distance")
_ONE_AT_A_TIME = threading.Lock()
"""Held while a sample is made: a worker with several threads still makes one at a time."""


@dataclass(frozen=True)
class Settings:
    """Settings that all samples of a run share."""

    plan: str
    """The plan's name."""
    checkpoint: str
    sampler: str
    steps: int
    guidance: float
    stain: str
    device: str
    threads: int
    quality: Quality
    looks: tuple[Asked, ...] = ((BY_SEED, ""),)
    plan_seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """The outcome of one job: its attempts, and the sample that was kept."""

    index: int
    origin: str
    """Source of its layout."""
    points: int
    """Number of points of its layout."""
    attempts: tuple[dict[str, Any], ...]
    """``seed``, ``report`` and ``kept`` of each attempt."""
    record: Record | None
    """The kept sample; None where all attempts were rejected."""
    recipe: dict[str, Any]
    """Recipe of the last attempt."""


def make(job: Job, settings: Settings) -> bytes:
    """A packed :class:`Outcome`: a sample is made, again with the next seed while it is rejected.

    Raises ValueError naming the sample's number and origin.
    """
    with _ONE_AT_A_TIME:
        before = torch.get_num_threads()
        torch.set_num_threads(settings.threads)
        try:
            return _make(job, settings)
        except ValueError as error:
            raise ValueError(f"sample {job.index} ({job.origin}): {error}") from None
        finally:
            torch.set_num_threads(before)


def _make(job: Job, settings: Settings) -> bytes:
    layout = job.final_layout()
    attempts: list[dict[str, Any]] = []
    look, look_of = look_at(settings.looks, settings.plan_seed, job.index)
    for seed in job.seeds:
        request = Request(
            layout=layout,
            prompt=prompt_for(layout, job.tissue, settings.stain),
            checkpoint=settings.checkpoint,
            sampler=settings.sampler,
            steps=settings.steps,
            guidance=settings.guidance,
            look=look,
            look_of=look_of,
            seeds=(seed,),
            tissue=job.tissue,
            stain=settings.stain,
            device=settings.device,
        )
        (sample,) = (e for e in synthesize(request) if isinstance(e, Synthesis))
        kept = not too_many(sample.report, len(layout), settings.quality)
        attempts.append({"seed": seed, "report": sample.report.to_json(), "kept": kept})
        if kept:
            break
    recipe = {**sample.recipe, "plan": settings.plan, "id": job.index, "layout": job.origin}
    if job.slide:
        recipe["slide"] = job.slide
    return pack(
        Outcome(
            job.index, job.origin, len(layout), tuple(attempts), sample.record if kept else None, recipe
        )
    )  # fmt: skip


def too_many(report: Report, points: int, quality: Quality) -> tuple[str, ...]:
    """The measures of a report that are above the limits."""
    return tuple(
        name
        for name in MEASURES
        if (limit := getattr(quality, name)) is not None
        and len(getattr(report, name)) > limit * max(1, points)
    )


def pack(outcome: Outcome) -> bytes:
    """The outcome as safetensors, with the arrays and a JSON header; nothing in it can be executed."""
    record = outcome.record
    arrays: dict[str, Any] = {}
    content: dict[str, Any] = {
        "index": outcome.index,
        "origin": outcome.origin,
        "points": outcome.points,
        "attempts": outcome.attempts,
        "recipe": outcome.recipe,
    }
    if record is not None:
        arrays = {name: np.ascontiguousarray(getattr(record, name)) for name in _ARRAYS}
        arrays["centroids"] = np.ascontiguousarray(record.layout.centroids)
        arrays["class_ids"] = np.ascontiguousarray(record.layout.class_ids)
        content["mpp"], content["source"] = record.mpp, record.source
    return bytes(packed(arrays, metadata={"outcome": json.dumps(content, allow_nan=False)}))


def unpack(data: bytes, classes: ClassTable, where: str) -> Outcome:
    """The outcome that :func:`pack` packed. Raises ValueError naming ``where`` for damaged bytes."""
    try:
        size = int.from_bytes(data[:8], "little")
        header: Mapping[str, Any] = json.loads(data[8 : 8 + size])
        content = json.loads(header["__metadata__"]["outcome"])
        a = unpacked(data)
        record = None
        if "image" in a:
            recipe, shape = content["recipe"], a["labels"].shape
            record = Record(
                **{name: a[name] for name in _ARRAYS},
                layout=Layout(
                    a["centroids"], a["class_ids"], (shape[0], shape[1]), content["mpp"], classes
                ),
                mpp=content["mpp"],
                tissue=recipe["tissue"],
                source=content["source"],
                stain=recipe["stain"],
            )
        return Outcome(
            content["index"],
            content["origin"],
            content["points"],
            tuple(content["attempts"]),
            record,
            content["recipe"],
        )
    except (SafetensorError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{where}: not a finished sample ({error})") from None
