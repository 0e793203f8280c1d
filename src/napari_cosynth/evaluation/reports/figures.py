"""Figures with intervals from two sets of records, synthetic (``made``) and real."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from napari_cosynth.evaluation.metrics import diversity, memorisation, separation
from napari_cosynth.evaluation.metrics.bootstrap import (
    Estimate,
    between,
    bootstrap_weights,
    estimates,
    over_halves,
    spread_of,
    weighted_mean,
    weighted_sum,
)
from napari_cosynth.evaluation.metrics.distances import (
    frechet_distance,
    inception_score,
    kernel_distance,
)
from napari_cosynth.evaluation.metrics.labels import (
    amounts,
    class_percentages,
    segmentation_distance,
)
from napari_cosynth.evaluation.metrics.layout import follow
from napari_cosynth.evaluation.metrics.quotients import quotient
from napari_cosynth.evaluation.metrics.shapes import class_medians
from napari_cosynth.evaluation.reports.figure import (
    ALL,
    IMAGENET,
    INCEPTION,
    OVER_HALVES,
    TILE_ENCODER,
    Figure,
    halved,
    halved_many,
)
from napari_cosynth.evaluation.reports.samples import Floats, Rows, Samples, layout_key, spread
from napari_cosynth.evaluation.reports.shape_figures import shape_figures
from napari_cosynth.evaluation.reports.texture_figures import texture_figures

SEPARATED = 250
"""Most real patches whose instances are separated anew."""


def evaluate(made: Samples, real: Samples, training: Sequence[Floats] = ()) -> list[Figure]:
    """Every figure of one stack against real patches of the same size, classes and µm/px.

    ``training``: for each network the features (N, F) of patches that the model was trained on.
    """
    equal = min(len(made), len(real))
    few = made.take(spread(len(made), equal)), real.take(spread(len(real), equal))
    found: list[Figure] = []
    for part in (
        image_figures(*few),
        texture_figures(made, real),
        label_figures(*few),
        layout_figures(made, real),
        shape_figures(made, real),
        diversity_figures(made, real),
        memorisation_figures(made, real, training),
        separation_figures(real),
    ):
        found += part
    return found


def image_figures(made: Samples, real: Samples) -> Iterable[Figure]:
    """Fréchet and kernel distances of features; FID, KID and IS if there are Inception's features.

    Fréchet distances are also divided by the distance between halves of the real tiles. The samples are
    halved too for this, so that both distances have the bias of equal numbers.
    """
    groups = made.groups, real.groups
    kinds: list[tuple[str, list[Floats], list[Floats]]] = []
    if made.features:
        kinds.append((TILE_ENCODER, made.features, real.features))
    if made.imagenet is not None and real.imagenet is not None:
        kinds.append((IMAGENET, [made.imagenet], [real.imagenet]))
    if made.inception and real.inception:
        kinds.append((INCEPTION, [made.inception[0]], [real.inception[0]]))
    for kind, ours, theirs in kinds:
        for label, distance in (("Fréchet", frechet_distance), ("kernel", kernel_distance)):
            name = f"{label} distance ({kind})"
            if kind == INCEPTION:
                name = {"Fréchet": "FID", "kernel": "KID"}[label]

            def mean(
                a: Rows,
                b: Rows,
                u: list[Floats] = ours,
                v: list[Floats] = theirs,
                d: Callable[[Floats, Floats], float] = distance,
            ) -> float:
                return float(np.mean([d(x[a], y[b]) for x, y in zip(u, v, strict=True)]))

            def among(a: Rows, b: Rows, v: list[Floats] = theirs, m: Any = mean) -> float:
                return float(m(a, b, v, v))

            seeds = [distance(x, y) for x, y in zip(ours, theirs, strict=True)]
            halves = over_halves(mean, groups)
            yield Figure(
                "Images",
                name,
                ALL,
                spread_of(float(np.mean(seeds)), halves, -np.inf if label == "kernel" else 0.0),
                halved(real, among),
                "lower",
                tuple(seeds) if len(seeds) > 1 else (),
            )
            if label == "Fréchet":
                usual = halved_many(real, among)
                multiples = quotient(halves, usual)
                estimate = Estimate(float(multiples.mean()), multiples)
                wanted = 1.0 if usual > 0 else float("nan")
                yield Figure("Images", f"{name}, {OVER_HALVES}", ALL, estimate, wanted, "lower")
    if made.inception and real.inception:
        logits = made.inception[1]
        score = between(lambda a, _: inception_score(logits[a]), groups, least=1.0)
        yield Figure("Images", "IS", ALL, score, inception_score(real.inception[1]), "real")


def label_figures(made: Samples, real: Samples) -> Iterable[Figure]:
    """FSD, and counts and areas against those that the layouts ask for."""
    classes = real.records[0].classes
    ours, theirs = (
        class_percentages([r.labels for r in s.records], len(classes)) for s in (made, real)
    )
    yield Figure(
        "Labels",
        "FSD",
        ALL,
        between(lambda a, b: segmentation_distance(theirs[b], ours[a]), (made.groups, real.groups)),
        halved(real, lambda a, b: segmentation_distance(theirs[a], theirs[b])),
        "lower",
    )
    areas = np.full(len(classes), np.nan)
    ids = np.concatenate([n.class_ids for n in real.nuclei])
    sizes = np.concatenate([n.area for n in real.nuclei])
    for k in np.unique(ids):
        areas[k] = sizes[ids == k].mean()
    items = [
        [amounts(r, n, areas) for r, n in zip(s.records, s.nuclei, strict=True)]
        for s in (made, real)
    ]
    drawn = weighted_sum(items[0], bootstrap_weights(made.groups)).errors()
    whole = weighted_sum(items[1], np.ones((1, len(real)))).errors()
    yield from _by_class(
        "Labels", drawn, whole, classes.names, {"count error": "lower", "": "real"}
    )


def layout_figures(made: Samples, real: Samples) -> Iterable[Figure]:
    """How well nuclei follow their points; real patches follow theirs, except for unusual areas."""
    classes = real.records[0].classes
    medians = class_medians(real.nuclei, len(classes))
    items = [
        [follow(r, n, medians) for r, n in zip(s.records, s.nuclei, strict=True)]
        for s in (made, real)
    ]
    drawn = weighted_sum(items[0], bootstrap_weights(made.groups)).shares()
    whole = weighted_sum(items[1], np.ones((1, len(real)))).shares()
    better = {"points with": "higher", "": "lower"}
    yield from _by_class("Layout", drawn, whole, classes.names, better)


def _by_class(
    section: str,
    drawn: dict[str, Floats],
    whole: dict[str, Floats],
    names: Sequence[str],
    better: dict[str, str],
) -> Iterable[Figure]:
    for name, values in drawn.items():
        side = next((v for k, v in better.items() if name.startswith(k)), "")
        for k, of in enumerate((ALL, *names[1:])):
            yield Figure(section, name, of, estimates(values[:, k]), float(whole[name][0, k]), side)


def diversity_figures(made: Samples, real: Samples) -> Iterable[Figure]:
    """Differences between samples of one layout; the real value is between different real patches."""
    layouts: dict[str, list[int]] = {}
    for i, record in enumerate(made.records):
        layouts.setdefault(layout_key(record), []).append(i)
    repeated = [rows for rows in layouts.values() if len(rows) > 1]
    weights = bootstrap_weights([str(i) for i in range(len(repeated))])
    some = spread(len(real), 60)
    dice = [
        diversity.pairwise_label_dice([made.records[i].labels for i in rows]) for rows in repeated
    ]
    reference = diversity.pairwise_label_dice([real.records[i].labels for i in some])
    name = "label Dice of samples of one layout"
    yield Figure("Diversity", name, ALL, weighted_mean(dice, weights), reference)
    if made.features:
        ours, theirs = (np.concatenate(s.features, 1) for s in (made, real))
        away = [diversity.pairwise_distance(ours[rows]) for rows in repeated]
        name = f"{TILE_ENCODER} distance of samples of one layout"
        reference = diversity.pairwise_distance(theirs[some])
        yield Figure("Diversity", name, ALL, weighted_mean(away, weights), reference)


def memorisation_figures(
    made: Samples, real: Samples, training: Sequence[Floats]
) -> Iterable[Figure]:
    """How near samples lie to training patches, against real patches that were not trained on.

    There are no figures without ``training``.
    """
    if not len(training):
        return
    seen, ours, theirs = (np.concatenate(f, 1) for f in (training, made.features, real.features))
    near = [memorisation.nearest_distances(f, seen) for f in (ours, theirs)]
    for name, reference in memorisation.USUAL.items():
        estimate = between(
            lambda a, b, n=name: memorisation.closeness(near[0][a], near[1][b])[n],  # type: ignore[misc]
            (made.groups, real.groups),
        )
        yield Figure("Memorisation", name, ALL, estimate, reference, "real")


def separation_figures(real: Samples) -> Iterable[Figure]:
    """mDice of the three methods of instance separation, on the real patches' own labels."""
    chosen = real.take(spread(len(real), SEPARATED))
    weights = bootstrap_weights(chosen.groups)
    found = [separation.separations(r) for r in chosen.records]
    for method in separation.METHODS:
        dice = [f[method] for f in found]
        owners = np.repeat(np.arange(len(dice)), [len(d) for d in dice])
        estimate = weighted_mean(np.concatenate(dice), weights[:, owners])
        yield Figure("Instance separation (mDice on real labels)", method, ALL, estimate)
