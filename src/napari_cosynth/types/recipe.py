"""What decides a sample: asked for, stored with it, and read again to make the same one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from napari_cosynth.types.annotation import H_AND_E, Layout
from napari_cosynth.types.classes import require

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
"""Looks that are no numbers: ``Recipe.look``."""


def asked_again(recipe: Mapping[str, Any]) -> tuple[str | tuple[float, ...], str] | None:
    """``Recipe.look`` and ``Recipe.look_of`` of a recipe; None where it is of a network without looks.

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


@dataclass(frozen=True)
class Recipe:
    """Everything that decides samples, with the checkpoint's bytes; each seed gives one of them."""

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
    look: str | tuple[float, ...] = BY_SEED
    """What the image is to look like: the numbers of a reference (``model.looks``), ``"seed"`` for a
    training tile of that tissue drawn by the seed, ``"bank:TISSUE"`` for one of another tissue, or
    ``"none"``."""
    look_of: str = ""
    """Where the numbers of ``look`` come from."""

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

    def stored(self, seed: int) -> dict[str, Any]:
        """What is stored with the sample of a seed, JSON-ready; :meth:`read` reads it.

        The layout is stored beside it. Checkpoint and look are stored as they were found: with the
        hash of its weights, and as numbers (``synthesis.provenance``, ``synthesis.looks``).
        """
        return {"seed": seed, **{name: getattr(self, name) for name in _STORED if name != "seed"}}

    @classmethod
    def read(cls, stored: Mapping[str, Any], layout: Layout, **others: Any) -> Self:
        """The recipe that is stored with a sample of a layout; ``others`` are fields it does not tell.

        Raises ValueError naming the field that is missing, holds something else or is out of range.
        """
        for name in ("prompt", "sampler", "steps", "guidance", "seed"):
            if name not in stored:
                raise ValueError(f"{name}: missing")
        return cls(layout=layout, **{**stated(stored), **others})


@dataclass(frozen=True)
class Request(Recipe):
    """A recipe, and where it is to be computed."""

    device: str = "auto"


_STORED: dict[str, tuple[type, ...]] = {
    "seed": (int,),
    "prompt": (str,),
    "tissue": (str,),
    "stain": (str,),
    "sampler": (str,),
    "steps": (int,),
    "guidance": (int, float),
}


def stated(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a :class:`Recipe` that a stored one states, by name; ``seeds`` is its one seed.

    Raises ValueError naming the field that holds something else or is out of its range.
    """
    fields: dict[str, Any] = {}
    for key, kinds in _STORED.items():
        if key not in stored:
            continue
        value = stored[key]
        if not isinstance(value, kinds) or isinstance(value, bool):
            expected = (
                "text" if str in kinds else "a number" if float in kinds else "a whole number"
            )
            raise ValueError(f"{key}: expected {expected}, got {str(value)[:60]!r}")
        fields[key] = value
    if "seed" in fields:
        fields["seeds"] = (fields.pop("seed"),)
    check_numbers(**{k: fields[k] for k in ("steps", "guidance", "seeds") if k in fields})
    if (asked := asked_again(stored)) is not None:
        fields["look"], fields["look_of"] = asked
    return fields


def same_but(first: Recipe, second: Recipe, *but: str) -> bool:
    """Whether two recipes, or two requests, are the same in every field but those named.

    Layouts are compared by canvas and classes, not by their points.
    """

    def facts(recipe: Recipe) -> list[Any]:
        canvas = recipe.layout
        return [
            (canvas.shape, canvas.mpp, canvas.classes)
            if f.name == "layout"
            else getattr(recipe, f.name)
            for f in dataclasses.fields(recipe)
            if f.name not in but
        ]

    return facts(first) == facts(second)
