"""Replay: a sample of an export is made again by its recipe and compared with the export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_cosynth.datasets.formats import open_records
from napari_cosynth.datasets.recipes import read_sample
from napari_cosynth.generate.manifest import MANIFEST, read_manifest
from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.edits import undone
from napari_cosynth.model.checkpoint import BUNDLED, WEIGHTS, available, locate, own
from napari_cosynth.model.precision import choose_device, faster_in_bf16
from napari_cosynth.model.weights import sha256_of
from napari_cosynth.synthesis.provenance import package_versions
from napari_cosynth.synthesis.resynthesize import REACH, resynthesize
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.types import Layout, Record, Request, Synthesis
from napari_cosynth.types.recipe import NEEDED

_ELSEWHERE = {
    "inpainted": "was sampled into a real image",
    "labels_of": "was painted over the labels of another record",
}
"""Keys of recipes that cannot be replayed, since they need more than recipe and layout; and why."""
_ARRAYS = ("image", "labels", "instances", "distance")


@dataclass(frozen=True)
class Replay:
    """A sample made again."""

    record: Record
    recipe: dict[str, Any]
    same: bool
    compared: tuple[str, ...]
    """Names of the arrays that were compared."""
    differences: tuple[str, ...]
    """Lines on what differs from the recipe, followed by lines on pixels that differ."""


def replay(
    export: Path, number: int, checkpoint: str | None = None, device: str = "auto"
) -> Replay:
    """Makes sample ``number`` of an export again, with its seed, layout, checkpoint and threads.

    ``checkpoint`` is a name or folder; None: the known checkpoint whose weights have the recipe's
    SHA-256. A sample that was resampled around edits goes through the same edits. Raises ValueError where
    the sample is not synthetic, its recipe is incomplete, or its checkpoint is unknown here.
    """
    path, index = _in_shard(export, number)
    layout, recipe = read_sample(path, index)
    where = f"{export}: sample {number}"
    if not recipe.get("synthetic"):
        raise ValueError(f"{where}: is not synthetic: it has no recipe to make it by")
    for name, what in _ELSEWHERE.items():
        if name in recipe:
            raise ValueError(f"{where}: {what}: its recipe alone does not make it again")
    for name in (*NEEDED, "checkpoint_sha256"):
        if name not in recipe:
            raise ValueError(f"{where}: {name}: missing in its recipe")
    name, notes = _checkpoint(recipe, checkpoint, where)
    device = _device(recipe, device)
    notes += _surroundings(recipe, device)
    held = _held(path, index, layout)
    if "relaid" in recipe:
        layout = _as_sampled(layout, recipe["relaid"], where)
        held.pop("instances", None)
        notes.append(
            "points were edited by hand after it was made: no instances are compared, whose numbers "
            "follow the points"
        )
    sample = _make(layout, recipe, name, device, where)
    if "stain_match" in recipe:
        del held["image"]
        notes.append("its stain was matched to a reference after it was made: no image is compared")
    pixels = [line for n in held if (line := _difference(n, held[n], getattr(sample.record, n)))]
    if pixels and recipe.get("edited"):
        notes.append("its labels or instances were edited by hand after it was made")
    return Replay(sample.record, sample.recipe, not pixels, tuple(held), (*notes, *pixels))


def _as_sampled(layout: Layout, edits: Any, where: str) -> Layout:
    """The layout that the sample was made from, with the edits of its points undone."""
    try:
        for edit in reversed(edits):
            layout = undone(layout, edit)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: relaid: expected edits of its points ({error!r})") from None
    return layout


def _held(path: Path, index: int, layout: Layout) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an exported sample that can be compared with a replay.

    Our own stack holds all four. Other formats number instances anew and have no distance map, and some
    merge classes; of these only image and labels count, or the image alone.
    """
    kind, records = open_records(path)
    record = records[index]
    names: tuple[str, ...] = _ARRAYS if kind == "stack" else ("image", "labels")
    if record.classes != layout.classes:
        names = ("image",)
    return {name: getattr(record, name) for name in names}


def _in_shard(export: Path, number: int) -> tuple[Path, int]:
    """Path and index of a sample; in a generated data set, those of its shard and its place there."""
    if not (export / MANIFEST).is_file():
        return export, number
    samples = read_manifest(export).samples
    if not 0 <= number < len(samples):
        raise ValueError(f"{export}: sample: expected 0..{len(samples) - 1}, got {number}")
    entry = samples[number]
    if not entry["kept"]:
        raise ValueError(f"{export}: sample {number}: was rejected, so there is nothing to compare")
    return export / entry["shard"], int(entry["index"])


def _checkpoint(recipe: dict[str, Any], named: str | None, where: str) -> tuple[str, list[str]]:
    """Name or folder of the checkpoint to use, and a line where its weights are not the recipe's."""
    wanted = str(recipe["checkpoint_sha256"])
    if named is None:
        known = {**{n: BUNDLED / n for n in available()}, **own()}
        for name, folder in known.items():
            if sha256_of(folder / WEIGHTS) == wanted:
                return name, []
        named = str(recipe.get("checkpoint", ""))
        if named not in known:
            raise ValueError(
                f"{where}: its checkpoint {named!r} (sha256 {wanted[:12]}...) is not among those "
                "known here: name its folder with --checkpoint"
            )
    found = sha256_of(locate(named) / WEIGHTS)
    if found == wanted:
        return named, []
    return named, [
        f"checkpoint: {named}: its weights are sha256 {found[:12]}..., the recipe's {wanted[:12]}..."
    ]


def _device(recipe: dict[str, Any], asked: str) -> str:
    """The device to use: the one asked for, else the recipe's kind where this machine has it."""
    if asked != "auto":
        return asked
    kind = str(recipe.get("device", "auto")).split(":")[0]
    try:
        return str(choose_device(kind))
    except ValueError:
        return "auto"


def _surroundings(recipe: dict[str, Any], device: str) -> list[str]:
    """Lines on device, precision and versions that changed, and so may change a sample's last bits."""
    here = choose_device(device)
    now: dict[str, Any] = {
        "device": here.type,
        "precision": "bfloat16" if faster_in_bf16(here) else "float32",
        **package_versions(),
    }
    versions = recipe.get("versions")
    then = {
        "device": str(recipe.get("device", "")).split(":")[0],
        "precision": recipe.get("precision"),
        **(versions if isinstance(versions, dict) else {}),
    }
    return [
        f"{name}: {now.get(name, 'none')} here, {value} in the recipe"
        for name, value in then.items()
        if now.get(name) != value
    ]


@contextmanager
def _threads(count: Any) -> Iterator[None]:
    before = torch.get_num_threads()
    if isinstance(count, int) and count >= 1:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _make(
    layout: Layout, recipe: dict[str, Any], checkpoint: str, device: str, where: str
) -> Synthesis:
    def _request(layout: Layout, stored: dict[str, Any]) -> Request:
        return Request.read(stored, layout, checkpoint=checkpoint, device=device)

    history = recipe.get("history", [])
    boxes = recipe.get("resampled", [])
    if len(history) != len(boxes):
        raise ValueError(
            f"{where}: was resampled around edits by a version that did not keep the layouts before "
            "them: it cannot be made again"
        )
    try:
        stages: list[tuple[Layout, dict[str, Any], Box | None]] = [(layout, recipe, None)]
        for edit, box in zip(reversed(history), reversed(boxes), strict=True):
            layout = undone(layout, edit)
            changed = Box(*(int(v) for v in box)).grown(-REACH)
            stages[-1] = (stages[-1][0], stages[-1][1], changed)
            stages.append((layout, {**recipe, **edit["recipe"]}, None))
        with _threads(recipe.get("threads")):
            (sample,) = _samples(synthesize(_request(*stages[-1][:2])))
            for stage, values, box in reversed(stages[:-1]):
                assert box is not None
                (sample,) = _samples(resynthesize(_request(stage, values), sample, box))
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{where}: its recipe is damaged ({error!r})") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return sample


def _samples(events: Iterator[Any]) -> list[Synthesis]:
    return [e for e in events if isinstance(e, Synthesis)]


def _difference(name: str, held: npt.NDArray[Any], made: npt.NDArray[Any]) -> str:
    """A line on the pixels that differ; empty where none do."""
    if held.shape != made.shape:
        return f"{name}: {made.shape} made, {held.shape} in the export"
    apart = held != made
    if not apart.any():
        return ""
    pixels = apart.any(-1) if apart.ndim == 3 else apart
    line = f"{name}: {int(pixels.sum())} of {pixels.size} pixels differ"
    if name in ("image", "distance"):
        largest = np.abs(held.astype(np.float64) - made.astype(np.float64)).max()
        line += f", by at most {largest:.3g}" + (" grey levels" if name == "image" else "")
    return line
