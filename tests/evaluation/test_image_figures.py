"""Which distances of images a report has, and of what; their values are those of the distances."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cosynth.evaluation.metrics.distances import (
    frechet_distance,
    inception_score,
    kernel_distance,
)
from napari_cosynth.evaluation.reports.figure import ALL, OVER_HALVES, Figure
from napari_cosynth.evaluation.reports.figures import image_figures
from napari_cosynth.evaluation.reports.samples import Samples
from nuclei import record

RNG = np.random.default_rng(0)
RECORDS = [record(seed) for seed in range(2)] * 6


def samples(*networks: str, shift: float = 0.0) -> Samples:
    def features(width: int = 3) -> np.ndarray:
        return RNG.normal(shift, 1, (12, width))

    return Samples(
        RECORDS,
        [f"tile {n // 2}" for n in range(12)],
        features=[features(), features()] if "tile encoder" in networks else [],
        imagenet=features() if "ImageNet" in networks else None,
        inception=(features(), features(5)) if "Inception" in networks else None,
    )


def found(made: Samples, real: Samples) -> dict[str, Figure]:
    figures = list(image_figures(made, real))
    assert all(f.section == "Images" and f.of == ALL for f in figures)
    return {f.name: f for f in figures}


def test_each_network_has_its_distances() -> None:
    everything = ("tile encoder", "ImageNet", "Inception")
    made, real = samples(*everything, shift=2.0), samples(*everything)
    figures = found(made, real)
    pairs = {
        "(tile encoder)": list(zip(made.features, real.features, strict=True)),
        "(ImageNet features)": [(made.imagenet, real.imagenet)],
        "": [(made.inception[0], real.inception[0])],
    }
    for kind, of in pairs.items():
        names = [f"{n} distance {kind}" for n in ("Fréchet", "kernel")] if kind else ["FID", "KID"]
        for name, distance in zip(names, (frechet_distance, kernel_distance), strict=True):
            values = [distance(*pair) for pair in of]
            figure = figures.pop(name)
            assert figure.estimate.value == pytest.approx(np.mean(values))
            assert figure.seeds == (tuple(values) if len(values) > 1 else ())
            assert figure.better == "lower" and np.isfinite(figure.real)
            low, high = figure.estimate.interval
            assert low <= high and figure.real < low  # far from what real tiles differ
        multiple = figures.pop(f"{names[0]}, {OVER_HALVES}")
        assert multiple.estimate.value > 1 == multiple.real
    score = figures.pop("IS")
    assert score.estimate.value == pytest.approx(inception_score(made.inception[1]))
    assert score.real == pytest.approx(inception_score(real.inception[1]))
    assert score.better == "real" and score.estimate.draws.min() >= 1
    assert not figures


def test_what_one_of_the_sets_lacks_is_left_out() -> None:
    assert found(samples("Inception"), samples()) == found(samples(), samples("Inception")) == {}
    assert found(samples("ImageNet"), samples()) == found(samples(), samples("ImageNet")) == {}
    names = {"FID", f"FID, {OVER_HALVES}", "KID", "IS"}
    assert set(found(samples("Inception"), samples("Inception", "ImageNet"))) == names
