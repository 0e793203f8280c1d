"""Random fields of intensity, which make tissue dense in some places, and with some classes.

There are a few independent, smooth Gaussian fields G_s with covariance ``exp(-r² / (2 s²))``. Each class
has a response to each field: ``log intensity_m(u) = sum_s f_ms(G_s(u)) + constant``. A response need not
be monotone. A class that responds to values around 0 lines the level curves of a field, as epithelium
lines glands; others fill the inside or the outside. With linear responses the model is a log-Gaussian Cox
process (Møller, Syversveen and Waagepetersen 1998). Fields are smoothed white noise, so that a canvas of
any size has neither blocks nor a period, at a cost linear in its area.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates

Floats = npt.NDArray[np.float64]

_STEPS = 4
"""Nodes of the noise per scale; between them the field is interpolated."""


def draw_fields(
    scales: Sequence[float], shape: tuple[int, int], spacing: float, rng: np.random.Generator
) -> Floats:
    """Independent standard Gaussian fields, float64 (S, h, w).

    Values are at the centres of squares of ``spacing`` µm; ``scales`` are s in µm, ``shape`` is (h, w).
    """
    fields = np.empty((len(scales), *shape))
    for number, scale in enumerate(scales):
        step = scale / _STEPS
        sigma = _STEPS / np.sqrt(2)  # noise smoothed by s/sqrt(2) correlates over s
        margin = int(np.ceil(4 * sigma)) + 2
        rows, columns = ((np.arange(n) + 0.5) * spacing / step + margin for n in shape)
        nodes = [int(np.ceil(n * spacing / step)) + 2 * margin + 1 for n in shape]
        smooth = gaussian_filter(rng.standard_normal(nodes), sigma, truncate=4)
        smooth *= 2 * sigma * np.sqrt(np.pi)  # to variance 1
        places = np.meshgrid(rows, columns, indexing="ij")
        fields[number] = map_coordinates(smooth, places, order=3)
    return fields


def log_intensity(fields: Floats, nodes: Floats, responses: Floats) -> Floats:
    """log of each class' intensity over its mean, (K, ...), for fields (S, ...).

    ``responses`` (K, S, N) are f_ms at the ``nodes`` (N,), linear between nodes and constant beyond.
    """
    return np.stack(
        [
            sum(
                (np.interp(g, nodes, f) for g, f in zip(fields, own, strict=True)),
                np.zeros(fields.shape[1:]),
            )
            for own in responses
        ]
    )


def condition_fields(
    fields: Floats,
    draw: Callable[[], Floats],
    log_likelihood: Callable[[Floats], float],
    steps: int,
    rng: np.random.Generator,
) -> Floats:
    """Fields conditioned on a likelihood, by elliptical slice sampling.

    The method is exact for any likelihood and has no step size (Murray, Adams and MacKay 2010).

    Args:
        fields: start of the chain.
        draw: returns independent fields with the same distribution.
        log_likelihood: log likelihood of given fields.
        steps: number of steps of the chain.
    """
    now = log_likelihood(fields)
    for _ in range(steps):
        other = draw()
        level = now + np.log(rng.random())
        angle = rng.uniform(0, 2 * np.pi)
        low, high = angle - 2 * np.pi, angle
        while True:
            proposal = fields * np.cos(angle) + other * np.sin(angle)
            value = log_likelihood(proposal)
            if value > level:
                fields, now = proposal, value
                break
            low, high = (angle, high) if angle < 0 else (low, angle)
            angle = rng.uniform(low, high)
    return fields
