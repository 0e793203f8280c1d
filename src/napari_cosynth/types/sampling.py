"""A synthesis: what is asked for, how far it is, what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.types.annotation import H_AND_E, Layout, Record
from napari_cosynth.types.classes import require


@dataclass(frozen=True)
class Report:
    """What instance separation found; rows and instance ids are ``row of the layout + 1``."""

    missed: tuple[int, ...] = ()
    """Ids of points with no foreground under them."""
    spurious: tuple[int, ...] = ()
    """Ids (above N) of foreground components that no point reaches."""
    merged: tuple[int, ...] = ()
    """Ids of instances with more than one peak in the distance map."""
    flagged: tuple[int, ...] = ()
    """Ids of instances whose majority class is not their point's."""
    pale: tuple[int, ...] = ()
    """Ids of instances in which the image shows no more haematoxylin than around them."""
    small: tuple[int, ...] = ()
    """Ids of instances of less than half the usual area of their class."""

    def to_json(self) -> dict[str, list[int]]:
        """Field -> ids, JSON-ready."""
        return {f.name: list(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_json(cls, value: dict[str, list[int]]) -> Report:
        """What :meth:`to_json` made; a field that is missing is empty."""
        return cls(**{f.name: tuple(value.get(f.name, ())) for f in dataclasses.fields(cls)})


FEW, FAST, ANCESTRAL = "few", "fast", "ancestral"
"""Samplers of the registry: ``few`` goes through the times that a checkpoint was trained for."""
USUAL_STEPS = {FAST: 20, ANCESTRAL: 1000}
"""Passes that a sampler usually takes, ``ancestral`` as in its paper; of any other ``fast``'s."""


def usual_sampler(nodes: int) -> tuple[str, int]:
    """The sampler and passes of a checkpoint that was trained for ``nodes`` times; 0: for none."""
    return (FEW, nodes) if nodes else (FAST, USUAL_STEPS[FAST])


def usual_steps(sampler: str, nodes: int) -> int:
    """The passes that a sampler usually takes with such a checkpoint."""
    return nodes if sampler == FEW else USUAL_STEPS.get(sampler, USUAL_STEPS[FAST])


BY_SEED, NO_LOOK, BANK = "seed", "none", "bank:"
"""Looks that are no numbers: ``Request.look``."""


def asked_again(recipe: Mapping[str, Any]) -> tuple[str | tuple[float, ...], str] | None:
    """``Request.look`` and ``Request.look_of`` of a recipe; None where it is of a network without looks.

    Raises ValueError where its look is neither null nor finite numbers.
    """
    if "look" not in recipe:
        return None
    stored = recipe["look"]
    if stored is None:
        return NO_LOOK, ""
    try:
        numbers = tuple(float(number) for number in stored)
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or not np.isfinite(numbers).all():
        raise ValueError(f"look: expected null or finite numbers, got {str(stored)[:60]}")
    return numbers, str(recipe.get("look_of", ""))


DEVICES = ("auto", "cpu", "cuda", "mps")


def check_device(name: str) -> None:
    """Raises ValueError where it names no kind of device; whether the machine has it is another thing."""
    kind, colon, number = name.partition(":")
    known = kind in DEVICES and (not colon or (kind != "auto" and number.isdecimal()))
    require(known, f"device: expected auto, cpu, cuda or mps, got {name!r}")


def check_numbers(steps: int = 0, guidance: float = 1.0, seeds: Sequence[int] = (0,)) -> None:
    """Raises ValueError where one of a request's numbers is out of its range."""
    require(steps >= 0, f"steps: expected 0 (the usual) or more, got {steps}")
    require(
        bool(np.isfinite(guidance)) and 0 <= guidance <= 20,
        f"guidance: expected a number in 0..20, got {guidance}",
    )
    require(len(seeds) >= 1, "seeds: expected at least one")
    for seed in seeds:
        require(0 <= seed < 2**63, f"seed: expected 0..2^63-1, got {seed}")


def look_file(spec: str) -> tuple[Path, tuple[int, int, int, int] | None] | None:
    """The image that ``IMAGE[:y,x,h,w]`` names and the rectangle; None for a look that is no image.

    A file whose name has a colon is found as it is. Raises ValueError where there is no such file.
    """
    if spec in (BY_SEED, NO_LOOK) or spec.startswith(BANK):
        return None
    if Path(spec).exists():
        return Path(spec), None
    name, colon, numbers = spec.rpartition(":")
    if colon and Path(name).exists():
        try:
            y, x, height, width = (int(v) for v in numbers.split(","))
        except ValueError:
            raise ValueError(f"look: {spec}: expected IMAGE:y,x,h,w, four whole numbers") from None
        return Path(name), (y, x, height, width)
    raise ValueError(
        f"look: {spec}: no such file; expected an image, {BANK}TISSUE, {BY_SEED} or {NO_LOOK}"
    )


_STATED: dict[str, tuple[type, ...]] = {
    "prompt": (str,),
    "tissue": (str,),
    "stain": (str,),
    "sampler": (str,),
    "steps": (int,),
    "guidance": (int, float),
    "seed": (int,),
}


def stated(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a :class:`Request` that a stored recipe states, by name; ``seeds`` is its one seed.

    Raises ValueError naming the field that holds something else or is out of its range.
    """
    fields: dict[str, Any] = {}
    for key, kinds in _STATED.items():
        if key not in recipe:
            continue
        value = recipe[key]
        if not isinstance(value, kinds) or isinstance(value, bool):
            expected = (
                "text" if str in kinds else "a number" if float in kinds else "a whole number"
            )
            raise ValueError(f"{key}: expected {expected}, got {str(value)[:60]!r}")
        fields[key] = value
    if "seed" in fields:
        fields["seeds"] = (fields.pop("seed"),)
    check_numbers(**{k: fields[k] for k in ("steps", "guidance", "seeds") if k in fields})
    if (asked := asked_again(recipe)) is not None:
        fields["look"], fields["look_of"] = asked
    return fields


@dataclass(frozen=True)
class Request:
    """Everything that decides a synthesis; together with the checkpoint's bytes, its recipe."""

    layout: Layout
    prompt: str
    checkpoint: str = "default"
    """Name of a bundled checkpoint, or the path of a checkpoint folder."""
    sampler: str = ""
    """A name of the registry; empty: the checkpoint's own, ``few`` where it was trained for it."""
    steps: int = 0
    """Passes of the network; 0: as many as the sampler usually takes."""
    guidance: float = 1.0
    """w of Eq. 6: 0 ignores the text, 1 uses it as trained, above 1 exaggerates it."""
    seeds: tuple[int, ...] = (0,)
    tissue: str = ""
    stain: str = H_AND_E
    device: str = "auto"
    preview_every: int = 0
    """Show the clean estimate every so many steps; 0 never."""
    preview_after: float = 0.0
    """Seconds without a picture after which what there is of the estimate is shown, on a large canvas
    also within a step; 0 never."""
    scratch: str = ""
    """Folder that keeps the state of a canvas sampled by windows, so that a killed run goes on from its
    last step; empty: nothing is kept."""
    look: str | tuple[float, ...] = BY_SEED
    """What the image is to look like: the numbers of a reference (``model.looks``), ``"seed"`` for a
    training tile of that tissue drawn by the seed, ``"bank:TISSUE"`` for one of another tissue, or
    ``"none"``."""
    look_of: str = ""
    """Where the numbers of ``look`` come from, for the recipe."""

    def __post_init__(self) -> None:
        check_numbers(self.steps, self.guidance, self.seeds)
        if isinstance(self.look, str):
            known = self.look in (BY_SEED, NO_LOOK) or self.look.startswith(BANK)
            require(
                known,
                f"look: expected numbers, {BY_SEED}, {BANK}TISSUE or {NO_LOOK}, got {self.look!r}",
            )
        else:
            require(bool(np.isfinite(self.look).all()), "look: expected finite numbers")
        require(
            self.preview_every >= 0, f"preview_every: expected 0 or more, got {self.preview_every}"
        )
        require(
            bool(np.isfinite(self.preview_after)) and self.preview_after >= 0,
            f"preview_after: expected 0 s or more, got {self.preview_after}",
        )


@dataclass(frozen=True)
class Progress:
    """One state of a running synthesis."""

    seed: int
    index: int
    """Which of the request's seeds, from 0."""
    count: int
    step: int
    """Steps of this sample done so far, 1..steps; 0 while the first is under way."""
    steps: int
    image: npt.NDArray[np.uint8] | None = None
    """Preview of the clean image, uint8 (H, W, 3), on preview steps."""
    labels: npt.NDArray[np.uint8] | None = None
    """Preview of the semantic labels, uint8 (H, W), on preview steps."""
    part: float = 0.0
    """The share of the next step that is done, 0..1, where a large canvas takes long for one."""


@dataclass(frozen=True)
class Synthesis:
    """One finished sample."""

    record: Record
    request: Request
    seed: int
    report: Report
    raw_labels: npt.NDArray[np.uint8]
    """Semantic labels as sampled, uint8 (H, W); ``record.labels`` has one class per instance."""
    seconds: float = 0.0
    """Wall time of this sample."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Checkpoint name and sha256, device, precision, package versions."""
    patch: npt.NDArray[np.uint8] | None = None
    """Of a region of a real image: what takes its place there, uint8 (h, w, 3) on that image's own grid;
    ``record`` is the region on the checkpoint's."""

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """What reproduces this sample, JSON-ready; the layout is stored beside it."""
        request = self.request
        return {
            "synthetic": True,
            "seed": self.seed,
            "prompt": request.prompt,
            "tissue": request.tissue,
            "stain": request.stain,
            "sampler": request.sampler,
            "steps": request.steps,
            "guidance": request.guidance,
            **self.provenance,
            "report": self.report.to_json(),
        }
