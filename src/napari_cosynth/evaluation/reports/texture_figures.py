"""Figures of texture: means over images, and power spectra against real ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from napari_cosynth.evaluation.metrics.bootstrap import between, bootstrap_weights, weighted_mean
from napari_cosynth.evaluation.metrics.texture import band_ratios, spectral_distance, texture
from napari_cosynth.evaluation.reports.figure import ALL, Figure, halved
from napari_cosynth.evaluation.reports.samples import Rows, Samples, spread
from napari_cosynth.records.spectrum import BANDS, band_name, band_power, radial_power

TEXTURED = 250
"""Most images of each set whose texture is measured, which is the slowest part."""


def texture_figures(made: Samples, real: Samples) -> Iterable[Figure]:
    """Means over images of the texture figures, and distance and band ratios of the mean spectra."""
    names = (
        "haematoxylin AUC of nuclei",
        "background Laplacian, grey levels",
        *(f"background autocorrelation at {lag} px" for lag in (1, 2, 4)),
        *(f"mean {colour}, grey levels" for colour in ("red", "green", "blue")),
        "nucleus area of all pixels",
    )
    sets = [s.take(spread(len(s), TEXTURED)) for s in (made, real)]
    values = []
    for samples in sets:
        rows = []
        for r in samples.records:
            t = texture(r.image[None], r.labels[None])
            rows.append(
                [t.auc, t.laplacian, *t.correlation, *t.colour, float((r.labels > 0).mean())]
            )
        values.append(np.array(rows))
    weights = bootstrap_weights(sets[0].groups)
    for column, name in enumerate(names):
        reference = weighted_mean(values[1][:, column], np.ones((1, len(sets[1])))).value
        estimate = weighted_mean(values[0][:, column], weights)
        yield Figure("Texture", name, ALL, estimate, reference, "real")
    ours, theirs = (np.stack([radial_power(r.image) for r in s.records]) for s in sets)
    yield Figure(
        "Texture",
        "distance of power spectra, dB",
        ALL,
        between(
            lambda a, b: spectral_distance(ours[a].mean(0), theirs[b].mean(0)),
            (sets[0].groups, sets[1].groups),
        ),
        halved(sets[1], lambda a, b: spectral_distance(theirs[a].mean(0), theirs[b].mean(0))),
        "lower",
    )
    usual = theirs.mean(0)
    side = min(real.records[0].labels.shape)
    for k, (low, high) in enumerate(BANDS):

        def ratio(a: Rows, b: Rows, k: int = k) -> float:
            return float(band_ratios(ours[a].mean(0), theirs[b].mean(0), side)[k])

        yield Figure(
            "Texture",
            f"power over real, {band_name(low, high)}",
            ALL,
            between(ratio, (sets[0].groups, sets[1].groups)),
            1.0 if band_power(usual, side)[k] > 0 else float("nan"),
            "real",
        )
