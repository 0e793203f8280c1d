"""Closed wavy curves for glands and nests, in the bundled patterns and in hand-drawn structures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Points: TypeAlias = npt.NDArray[np.float64]
"""float64 (N, 2), (y, x) in pixels."""


@dataclass(frozen=True)
class Outline:
    """A closed wavy curve: a gland or a nest of tumour cells."""

    centre: tuple[float, float]
    """(y, x) in pixels."""
    radius: float
    """Mean radius in pixels."""
    waves: tuple[tuple[int, float, float], ...] = ()
    """(waves per turn, amplitude as a part of the radius, phase in radians)."""

    def radius_at(self, angle: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        total = np.ones_like(angle)
        for count, amplitude, phase in self.waves:
            total += amplitude * np.sin(count * angle + phase)
        return np.asarray(self.radius * total, float)

    def depth(self, points: Points) -> npt.NDArray[np.float64]:
        """Depth inside the curve along the radius, in pixels, (N,); below 0 outside."""
        y, x = (points - np.array(self.centre)).T
        return np.asarray(self.radius_at(np.arctan2(y, x)) - np.hypot(y, x), float)

    def rim(self, spacing: float, jitter: float, rng: np.random.Generator) -> Points:
        """Points along the curve, ``spacing`` pixels apart on average."""
        angle = np.linspace(0, 2 * np.pi, 1441)
        radius = self.radius_at(angle)
        curve = np.stack([np.sin(angle) * radius, np.cos(angle) * radius], 1)
        length = np.concatenate([[0.0], np.hypot(*np.diff(curve, axis=0).T).cumsum()])
        count = max(3, round(length[-1] / spacing))
        along = (np.arange(count) + rng.uniform(-0.12, 0.12, count)) * length[-1] / count
        at = np.interp(along % length[-1], length, angle)
        distance = self.radius_at(at) + rng.normal(0, jitter, count)
        y, x = np.sin(at) * distance, np.cos(at) * distance
        return np.asarray(np.stack([y, x], 1) + np.array(self.centre), float)
