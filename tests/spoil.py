"""Damage by chance, from a seed: JSON with one node replaced, files with a few bytes changed."""

from __future__ import annotations

from typing import Any

import numpy as np

JUNK = [None, 5, -1, "x", "", [], {}, [[]], [1], True, float("nan"), 1e300, 10**400, [[[[1, 2]]]]]


def spoiled(value: Any, rng: np.random.Generator) -> Any:
    """A copy of some JSON in which one node, at any depth, is something else or gone."""
    if isinstance(value, (dict, list)) and value and rng.random() > 0.15:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        chosen = keys[int(rng.integers(len(keys)))]
        if rng.random() < 0.1:
            return type(value)(
                {k: v for k, v in value.items() if k != chosen}
                if isinstance(value, dict)
                else [v for k, v in enumerate(value) if k != chosen]
            )
        copy = value.copy()
        copy[chosen] = spoiled(value[chosen], rng)
        return copy
    return JUNK[int(rng.integers(len(JUNK)))]


def with_changed_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three bytes are others, half of the time among the first 600, where the tags are."""
    spoilt = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        among = len(spoilt) if rng.random() < 0.5 else min(600, len(spoilt))
        spoilt[int(rng.integers(among))] = int(rng.integers(256))
    return bytes(spoilt)
