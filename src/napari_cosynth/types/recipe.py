"""Recipes: everything that decides a sample. A recipe is stored with its sample and read to remake it."""

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
"""Names of samplers in the registry. ``few`` uses the times that its checkpoint was trained for."""
USUAL_STEPS = {FAST: 20, ANCESTRAL: 1000}
"""Default passes of a sampler; ``ancestral``'s are the paper's. Other samplers take ``fast``'s."""


def usual_sampler(nodes: int) -> tuple[str, int]:
    """Default sampler and passes of a checkpoint.

    ``nodes`` is the number of times it was trained for by adversarial post-training, 0 without it.
    """
    return (FEW, nodes) if nodes else (FAST, USUAL_STEPS[FAST])


def usual_steps(sampler: str, nodes: int) -> int:
    """Default passes of a sampler; ``nodes`` as for :func:`usual_sampler`."""
    return nodes if sampler == FEW else USUAL_STEPS.get(sampler, USUAL_STEPS[FAST])


BY_SEED, NO_LOOK, BANK = "seed", "none", "bank:"
"""Values of ``Recipe.look`` that are words instead of numbers; a tissue follows ``BANK``."""


def asked_again(recipe: Mapping[str, Any]) -> tuple[str | tuple[float, ...], str] | None:
    """``Recipe.look`` and ``Recipe.look_of`` of a stored recipe.

    None where the recipe states no look: its network knows none. Raises ValueError where the look is
    neither null nor finite numbers.
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
    """Raises ValueError for an unknown kind of device; does not ask whether the machine has one."""
    kind, colon, number = name.partition(":")
    known = kind in DEVICES and (not colon or (kind != "auto" and number.isdecimal()))
    require(known, f"device: expected auto, cpu, cuda or mps, got {name!r}")


def check_numbers(steps: int = 0, guidance: float = 1.0, seeds: Sequence[int] = (0,)) -> None:
    """Raises ValueError where one of these numbers of a request is out of its range."""
    require(steps >= 0, f"steps: expected 0 (the usual) or more, got {steps}")
    require(
        bool(np.isfinite(guidance)) and 0 <= guidance <= 20,
        f"guidance: expected a number in 0..20, got {guidance}",
    )
    require(len(seeds) >= 1, "seeds: expected at least one")
    for seed in seeds:
        require(0 <= seed < 2**63, f"seed: expected 0..2^63-1, got {seed}")


def look_file(spec: str) -> tuple[Path, tuple[int, int, int, int] | None] | None:
    """The image and the rectangle (y, x, h, w) that ``IMAGE[:y,x,h,w]`` names, in pixels.

    The rectangle is None for the whole image. Returns None where ``spec`` is a word instead of an image.
    A file name may itself contain colons. Raises ValueError where there is no such file, or where the
    rectangle is not four whole numbers.
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


NEEDED = ("seed", "prompt", "sampler", "steps", "guidance")
"""Fields without which a stored recipe reproduces nothing."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides samples, apart from the checkpoint's bytes; one sample a seed."""

    layout: Layout
    prompt: str
    checkpoint: str = "default"
    """Name of a bundled checkpoint, or the path of a checkpoint folder."""
    sampler: str = ""
    """A name of the registry. Empty: the checkpoint's default, ``few`` where it was trained for it."""
    steps: int = 0
    """Passes of the network; 0: the sampler's default."""
    guidance: float = 1.0
    """w of Eq. 6: 0 ignores the text, 1 uses it as trained, above 1 exaggerates it."""
    seeds: tuple[int, ...] = (0,)
    tissue: str = ""
    stain: str = H_AND_E
    look: str | tuple[float, ...] = BY_SEED
    """The look that the image is to have, one of:

    - numbers: the look of a reference image (``model.looks``);
    - ``"seed"``: the look of a training tile of this tissue, drawn by the seed;
    - ``"bank:TISSUE"``: likewise, of another tissue;
    - ``"none"``: no look."""
    look_of: str = ""
    """The source of the numbers in ``look``, for people to read."""

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
        """The recipe of one seed's sample, JSON-ready; :meth:`read` reads it.

        Three fields are stored elsewhere: the layout beside the recipe, the checkpoint with the hash of
        its weights (``synthesis.provenance``), and the look as the numbers it stood for
        (``synthesis.looks``).
        """
        return {"seed": seed, **{name: getattr(self, name) for name in _STORED if name != "seed"}}

    @classmethod
    def read(cls, stored: Mapping[str, Any], layout: Layout, **others: Any) -> Self:
        """The recipe in ``stored``, for its layout; ``others`` are fields that are not stored.

        Raises ValueError naming the field that is missing, has the wrong type or is out of range.
        """
        for name in NEEDED:
            if name not in stored:
                raise ValueError(f"{name}: missing")
        return cls(layout=layout, **{**stated(stored), **others})


@dataclass(frozen=True)
class Request(Recipe):
    """A recipe, and the device that computes it."""

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
    """The fields of :class:`Recipe` that a stored recipe has, by name; ``seeds`` holds its one seed.

    Raises ValueError naming the field that has the wrong type or is out of its range.
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
    """Whether two recipes or two requests agree in every field except those named in ``but``.

    Layouts are compared by their canvas and classes, not by their points.
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
