"""Segmenters' counts by arm, seed and test tile -> the paper's Table 4 and Fig. 8, with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from napari_cosynth.evaluation.metrics.bootstrap import bootstrap_weights, estimates, weighted_sum
from napari_cosynth.evaluation.reports.figure import ALL, Figure
from napari_cosynth.evaluation.reports.report import Plot
from napari_cosynth.evaluation.reports.scores import Floats, Scores, measures

TABLE = "Table 4"
PLOTTED = ("Dice", "AJI", "F_d", "Acc")
"""Measures in Fig. 8."""

Results = Mapping[int, Mapping[str, Scores]]
"""Seed -> test tile -> counts. Every arm has the same seeds and tiles."""


def drawn_measures(results: Results, names: Sequence[str]) -> dict[str, Floats]:
    """Column of the table -> its values (1 + draws,), the first of which is the figure itself.

    Counts are pooled over seeds and tiles. A draw takes both with replacement, because tiles differ and
    trainings differ. ``names``: the K class names.
    """
    seeds = sorted(results)
    tiles = sorted(results[seeds[0]])
    over_tiles = bootstrap_weights(tiles)
    over_seeds = np.ones((len(over_tiles), len(seeds)))
    if len(seeds) > 1:
        over_seeds = bootstrap_weights([str(s) for s in seeds], seed=1)
    weights = over_seeds[:, :, None] * over_tiles[:, None, :]
    counts = [results[s][t] for s in seeds for t in tiles]
    return _columns(weighted_sum(counts, weights.reshape(len(weights), -1)), names)


def pooled_measures(results: Results, names: Sequence[str]) -> dict[str, float]:
    """Column of the table -> the figure, without draws."""
    counts = [counts for tiles in results.values() for counts in tiles.values()]
    drawn = weighted_sum(counts, np.ones((1, len(counts))))
    return {column: float(v[0]) for column, v in _columns(drawn, names).items()}


def _columns(drawn: Scores, names: Sequence[str]) -> dict[str, Floats]:
    values = measures(drawn, names)
    columns = {m: values[m, ALL] for m in ("Dice", "AJI", "PQ", "F_d", "Acc")}
    return {**columns, **{f"F_c {name}": values["F_c", name] for name in names[1:]}}


def table_figures(
    arms: Mapping[str, Results], names: Sequence[str], baseline: str
) -> Iterable[Figure]:
    """A row for each arm, and a row for each arm's difference from ``baseline``, draw by draw."""
    drawn = {arm: drawn_measures(results, names) for arm, results in arms.items()}
    for arm, columns in drawn.items():
        seeds = [pooled_measures({s: tiles}, names) for s, tiles in sorted(arms[arm].items())]
        for column, values in columns.items():
            alone = tuple(figures[column] for figures in seeds)
            yield Figure(TABLE, arm, column, estimates(values), better="higher", seeds=alone)
    if baseline not in drawn:
        return
    for arm, columns in drawn.items():
        if arm != baseline:
            for column, values in columns.items():
                difference = estimates(values - drawn[baseline][column])
                section = f"{TABLE}: difference from {baseline}"
                yield Figure(section, arm, column, difference, better="higher")


def synthetic_plots(
    arms: Mapping[str, Results], multiples: Mapping[str, Mapping[int, str]], names: Sequence[str]
) -> list[Plot]:
    """Fig. 8: measures against the number of synthetic patches for each real one.

    ``multiples``: a line's name -> number of synthetic sets -> the arm trained on these sets alone.
    """
    plots = []
    for column in PLOTTED:
        lines = {}
        for line, found in multiples.items():
            there = sorted(m for m, arm in found.items() if arm in arms)
            values = [pooled_measures(arms[found[m]], names)[column] for m in there]
            if len(there) > 1 and np.isfinite(values).all():
                lines[line] = np.array(there, float), np.array(values)
        if lines:
            plots.append(Plot(f"{column}, synthetic alone", "sets", lines))
    return plots
