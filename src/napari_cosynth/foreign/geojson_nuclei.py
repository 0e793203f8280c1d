"""Nuclei among the objects of a GeoJSON file, by the same rules for layouts and for data sets.

- Detections and cells are nuclei, and annotations beside them are regions of tissue. In a file without
  detections and cells, annotations and objects without a type are nuclei, unless they hold others.
- Tiles, cores of tissue microarrays, roots, and objects within a cell are not nuclei.
- Each point is a nucleus, also each of a MultiPoint.
- A polygon is a nucleus. Several polygons in one object are one nucleus if they hang together. If they
  lie apart each is a nucleus, because CellViT writes all cells of a class as one object.
- Damaged objects are left out and counted; a file with nothing else is refused.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.geojson import POINTS, Feature, Polygon, read_features

NEAR = 0.5
"""Largest distance in pixels between the outlines of two parts that hang together."""
MOST_PARTS = 32
"""Most parts of a single nucleus; more count as lying apart."""


@dataclass(frozen=True)
class Nucleus:
    """One nucleus: polygons, or a point."""

    feature: Feature
    polygons: tuple[Polygon, ...] = ()
    """Its parts; empty for a point."""
    point: npt.NDArray[np.float64] | None = None
    """float64 (1, 2), (x, y)."""


def read_nuclei(path: Path) -> tuple[list[Nucleus], tuple[str, ...]]:
    """The nuclei of a file, in its order, and one-line notes on what was left out or taken apart.

    Raises ValueError naming file and feature if it is no GeoJSON or if every nucleus is damaged.
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
    """Why an object cannot be a nucleus, whatever its geometry, in words; empty if it can."""
    if feature.object_type in ("tile", "tma core", "root"):
        return f"objects of the type {feature.object_type}"
    above = feature.parent
    while above is not None:
        if above.is_nucleus:
            return "objects within a cell"
        above = above.parent
    return "annotated regions that hold others" if holds_others and not detected else ""


def _hang_together(polygons: list[Polygon]) -> bool:
    """Whether the parts form one chain of neighbours, with gaps of at most ``NEAR``."""
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
    """The least distance between points (N, 2) and the edges of a ring (M, 2), in pixels."""
    edges = np.roll(ring, -1, axis=0) - ring
    lengths = np.maximum((edges**2).sum(1), 1e-12)
    nearest = np.inf
    for point in points:
        along = (((point - ring) * edges).sum(1) / lengths).clip(0, 1)
        away = ring + along[:, None] * edges - point
        nearest = min(nearest, float((away**2).sum(1).min()))
    return float(np.sqrt(nearest))
