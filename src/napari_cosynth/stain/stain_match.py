"""Stain matching: samples in the stain of a reference, which their recipes name."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth import registry
from napari_cosynth.slides.files import read_rgb
from napari_cosynth.stain.normalise import (
    Normaliser,
    from_optical_density,
    optical_density,
    tissue,
)
from napari_cosynth.types import Synthesis

MOST_PIXELS = 4_000_000
"""A larger reference is thinned evenly to about this many pixels, which keeps its statistics."""
LEAST_SPREAD = 0.01
"""Least standard deviation of the tissue's optical density, in the channel where it varies most; tissue
of one colour has no stains to tell apart."""
KEY = "stain_match"
"""Key in a recipe for method, reference, the sha256 of the reference's pixels, and strength."""


@dataclass(frozen=True)
class StainMatch:
    """A normaliser fitted to a reference."""

    method: str
    reference: str
    """The reference in words: a file, or a layer and the rectangle in it."""
    sha256: str
    """Hash of the reference's pixels."""
    normaliser: Normaliser
    strength: float = 1.0
    """From 0, the image as it is, to 1, all of the reference's stain."""

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(
                f"strength of stain matching: expected 0 to 100 %, got {100 * self.strength:g}"
            )

    def __call__(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """An image, uint8 (H, W, 3), in as much of the reference's stain: between the two densities,
        in which amounts of stain add up."""
        if self.strength == 0:
            return image
        full = self.normaliser(image)
        if self.strength == 1:
            return full
        own, there = optical_density(image), optical_density(full)
        return from_optical_density(own + self.strength * (there - own))

    @property
    def recipe(self) -> dict[str, Any]:
        """The entry for a sample's recipe, ready for JSON."""
        return {
            "method": self.method,
            "reference": self.reference,
            "sha256": self.sha256,
            "strength": self.strength,
        }

    def matched(self, sample: Synthesis) -> Synthesis:
        """The sample with its image in the reference's stain, which its recipe then names."""
        record = dataclasses.replace(sample.record, image=self(sample.record.image))
        provenance = {**sample.provenance, KEY: self.recipe}
        return dataclasses.replace(sample, record=record, provenance=provenance)


def match_to(
    method: str, pixels: npt.NDArray[np.uint8], reference: str, strength: float = 1.0
) -> StainMatch:
    """Fits ``method`` (macenko, reinhard, vahadane) to pixels, uint8 (H, W, 3).

    Raises ValueError naming the reference if it is empty, blank or of one colour, or if ``strength`` is
    not between 0 and 1.
    """
    kind = registry.resolve("normaliser", method)
    if pixels.size == 0:
        raise ValueError(f"{reference}: no pixels in the reference for stain matching")
    digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
    step = max(1, int(np.ceil(np.sqrt(pixels.shape[0] * pixels.shape[1] / MOST_PIXELS))))
    thinned = np.ascontiguousarray(pixels[::step, ::step])
    where = tissue(thinned)
    try:
        normaliser = kind(thinned)
    except ValueError as error:
        raise ValueError(f"{reference}: {error}") from None
    if optical_density(thinned)[where].std(0).max() < LEAST_SPREAD:
        raise ValueError(f"{reference}: the reference for stain matching is of one colour only")
    return StainMatch(method, reference, digest, normaliser, strength)


def match_to_file(method: str, path: Path, strength: float = 1.0) -> StainMatch:
    """Fits a method to an 8-bit RGB image file. Raises ValueError naming the file."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    return match_to(method, read_rgb(path), path.name, strength)
