"""Which objects of a GeoJSON file are nuclei: one answer for layouts and for data sets.

- Detections and cells are nuclei. Where there are none, annotations and objects of no type are, but not
  those that hold others: they are regions of tissue, as annotations beside detections are.
- Tiles, cores of tissue microarrays, roots, and what lies within a cell are none.
- A point is a nucleus, each of several points one.
- A polygon is a nucleus. Several in one object are one nucleus where they hang together; where they lie
  apart each is one: CellViT writes all cells of a class as one object.
- What is damaged is left out and counted; a file in which nothing else is left is refused.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.geojson import POINTS, Feature, Polygon, read_features

NEAR = 0.5
"""Pixels between the outlines of two parts that hang together."""
MOST_PARTS = 32
"""More parts are no single nucleus, wherever they lie."""


@dataclass(frozen=True)
class Nucleus:
    """One nucleus: polygons, or a point."""

    feature: Feature
    polygons: tuple[Polygon, ...] = ()
    """Its parts; none where it is a point."""
    point: npt.NDArray[np.float64] | None = None
    """float64 (1, 2), (x, y)."""


def read_nuclei(path: Path) -> tuple[list[Nucleus], tuple[str, ...]]:
    """The nuclei of a file, in its order, and notes on what was left out or taken apart, a line each.

    Raises ValueError naming file and feature where it is no GeoJSON, or where all of it is damaged.
    """
    features = read_features(path)
    detected = any(feature.is_nucleus for feature in features)
    holders = {id(feature.parent) for feature in features}
    left_out: Counter[str] = Counter()
    damaged: list[ValueError] = []
    nuclei: list[Nucleus] = []
    apart = 0
    for feature in features:
        if reason := _no_nucleus(feature, detected, id(feature) in holders):
            left_out[reason] += 1
            continue
        try:
            kind = feature.kind
            if kind in POINTS:
                nuclei += [Nucleus(feature, point=point[None]) for point in feature.points]
                continue
        except ValueError as error:
            damaged.append(error)
            continue
        if not kind:
            left_out["features without a geometry"] += 1
            continue
        if detected and not feature.is_nucleus:
            left_out["annotated regions beside detections"] += 1
            continue
        parts = list(feature.polygons())
        wrong = [part for part in parts if isinstance(part, ValueError)]
        polygons = [part for part in parts if not isinstance(part, ValueError)]
        damaged += wrong
        if not parts:
            left_out[f"features of kind {kind}"] += 1
        elif len(polygons) > 1 and not _hang_together(polygons):
            apart += 1
            nuclei += [Nucleus(feature, (polygon,)) for polygon in polygons]
        elif polygons:
            nuclei.append(Nucleus(feature, tuple(polygons)))
    if damaged and not nuclei:
        raise damaged[0]
    notes = [f"left out: {count:,} {what}" for what, count in left_out.items()]
    if damaged:
        first = str(damaged[0]).removeprefix(f"{path}: ")
        notes.append(f"left out: {len(damaged):,} damaged outlines ({first})")
    if apart:
        notes.append(f"{apart:,} objects in parts that lie apart: each part is a nucleus")
    return nuclei, tuple(notes)


def _no_nucleus(feature: Feature, detected: bool, holds_others: bool) -> str:
    """What an object is that is no nucleus whatever its geometry; empty for all others."""
    if feature.object_type in ("tile", "tma core", "root"):
        return f"objects of the type {feature.object_type}"
    above = feature.parent
    while above is not None:
        if above.is_nucleus:
            return "objects within a cell"
        above = above.parent
    return "annotated regions that hold others" if holds_others and not detected else ""


def _hang_together(polygons: list[Polygon]) -> bool:
    """Whether one can go from any part to any other over outlines that are at most ``NEAR`` apart."""
    if len(polygons) > MOST_PARTS:
        return False
    rings = [polygon[0] for polygon in polygons]
    reached, waiting = {0}, [0]
    while waiting:
        here = rings[waiting.pop()]
        near = [k for k in range(len(rings)) if k not in reached and _near(here, rings[k])]
        reached.update(near)
        waiting += near
    return len(reached) == len(rings)


def _near(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> bool:
    if (one.min(0) > other.max(0) + NEAR).any() or (other.min(0) > one.max(0) + NEAR).any():
        return False
    return _distance(one, other) <= NEAR or _distance(other, one) <= NEAR


def _distance(points: npt.NDArray[np.float64], ring: npt.NDArray[np.float64]) -> float:
    """The least distance of some points (N, 2) from the edges of a ring (M, 2)."""
    edges = np.roll(ring, -1, axis=0) - ring
    lengths = np.maximum((edges**2).sum(1), 1e-12)
    nearest = np.inf
    for point in points:
        along = (((point - ring) * edges).sum(1) / lengths).clip(0, 1)
        away = ring + along[:, None] * edges - point
        nearest = min(nearest, float((away**2).sum(1).min()))
    return float(np.sqrt(nearest))
