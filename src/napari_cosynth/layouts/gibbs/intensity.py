"""The intensity of a window: the density of each class and its variation, given nuclei around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from napari_cosynth.layouts.gibbs.fields import condition_fields, draw_fields, log_intensity
from napari_cosynth.layouts.gibbs.model import TissueModel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SPACING = 4.0
"""µm between the nodes of the intensity."""
CONTEXT = 25
"""Nodes around a window whose existing nuclei condition its intensity."""
CHAIN = 60
"""Steps of the chain that conditions fields on existing nuclei."""
SHAPE = 1.5
"""Shape of the gamma distribution of densities within a tissue, used to choose a tile by counts."""


@dataclass(frozen=True)
class Surroundings:
    """Existing nuclei around a window, in µm from the window's corner."""

    points: Floats
    """(N, 2)."""
    classes: Ints
    """(N,), 0..n-1; n or above for classes that the tissue does not have."""
    seen: npt.NDArray[np.bool_]
    """True at nodes whose nuclei are known, (h, w), of the window with ``CONTEXT`` nodes around it."""


def nodes_of(extent: Floats, around: int = 0) -> tuple[int, int]:
    """Rows and columns of nodes in a window of ``extent`` µm, with ``around`` more on each side."""
    rows, columns = (int(np.ceil(side / SPACING)) + 2 * around for side in extent)
    return rows, columns


def draw_log_activity(
    tissue: TissueModel,
    scales: tuple[float, ...],
    nodes: tuple[float, ...],
    extent: Floats,
    counts: dict[int, float],
    surroundings: Surroundings | None,
    rng: np.random.Generator,
) -> Floats:
    """log of the nuclei per µm² of each class at the nodes of a window, (n, h, w).

    ``counts`` are the wanted nuclei per mm² of some classes. The other classes then take the level of a
    tile with similar counts.
    """
    responses, places = np.array(tissue.responses), np.array(nodes)
    if surroundings is None:
        fields = draw_fields(scales, nodes_of(extent), SPACING, rng)
        area = float(extent.prod()) / 1e6
        level = _drawn_level(tissue, {k: (v * area, area) for k, v in counts.items()}, rng)
        relative = log_intensity(fields, places, responses)
    else:
        relative, level = _given_surroundings(
            tissue, scales, places, responses, extent, surroundings, rng
        )
    for number, density in counts.items():
        level[number] = density
    with np.errstate(divide="ignore"):
        return np.asarray(relative + np.log(level / 1e6)[:, None, None])


def _drawn_level(
    tissue: TissueModel, evidence: dict[int, tuple[float, float]], rng: np.random.Generator
) -> Floats:
    """Nuclei per mm² of a random tile of the tissue, (n,); tiles that explain the evidence are likelier.

    ``evidence`` holds the number of nuclei of some classes, and the area in mm² that they are on.
    """
    levels = np.array(tissue.levels, float)
    log_weight = np.zeros(len(levels))
    for number, (found, area) in evidence.items():
        mean = np.maximum(levels[:, number] * area, 0.1)  # negative binomial
        log_weight += gammaln(found + SHAPE) + found * np.log(mean / (mean + SHAPE))
        log_weight += SHAPE * np.log(SHAPE / (mean + SHAPE))
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(levels[rng.choice(len(levels), p=weight / weight.sum())])


def _given_surroundings(
    tissue: TissueModel,
    scales: tuple[float, ...],
    places: Floats,
    responses: Floats,
    extent: Floats,
    around: Surroundings,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Relative log intensity of the window, (n, h, w), and level, (n,), given existing nuclei."""
    count = len(tissue.classes)
    shape = nodes_of(extent, CONTEXT)
    at = np.floor(around.points / SPACING).astype(np.int64) + CONTEXT
    near = ((at >= 0) & (at < shape)).all(1) & (around.classes < count)
    (rows, columns), classes = at[near].T, around.classes[near]
    found = np.bincount(classes, minlength=count)
    area = around.seen.sum() * SPACING**2 / 1e6

    def draw() -> Floats:
        return draw_fields(scales, shape, SPACING, rng)

    def log_likelihood(fields: Floats) -> float:
        """Log likelihood of the nuclei's places, given their number, without interactions."""
        relative = log_intensity(fields, places, responses)
        mass = np.exp(relative[:, around.seen]).mean(1)
        return float(relative[classes, rows, columns].sum() - found @ np.log(mass))

    fields = draw()
    if len(classes):
        fields = condition_fields(fields, draw, log_likelihood, CHAIN, rng)
    relative = log_intensity(fields, places, responses)
    level = _drawn_level(tissue, {k: (float(n), area) for k, n in enumerate(found)}, rng)
    if around.seen.any():
        # The prior is a gamma distribution around the tile's level; the nuclei seen update it.
        usual = np.where(level > 0, level, np.mean(tissue.levels, axis=0))
        mass = np.exp(relative[:, around.seen]).mean(1) * area
        updated = rng.gamma(found + SHAPE) / (mass + SHAPE / np.maximum(usual, 1e-9))
        level = np.where((level > 0) | (found > 0), updated, 0)
    inner = np.s_[:, CONTEXT : shape[0] - CONTEXT, CONTEXT : shape[1] - CONTEXT]
    return relative[inner], level
