"""Table 4 from counts: pooled figures by hand, differences draw by draw, Fig. 8's lines."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cosynth.evaluation.reports.downstream import (
    drawn_measures,
    synthetic_plots,
    table_figures,
)
from napari_cosynth.evaluation.reports.scores import Scores

NAMES = ("background", "a", "b")


def counts(dice: tuple[float, float], right: float = 5.0) -> Scores:
    paired = np.zeros((3, 3))
    paired[1, 1], paired[1, 2] = right, 1
    return Scores(np.array(dice), np.array(dice), np.ones((4, 3)), paired, np.ones(3), np.zeros(3))


def arm(shift: float) -> dict[int, dict[str, Scores]]:
    return {
        seed: {
            f"t{t}": counts((10.0 * t + seed + shift, 100.0), 5 + t + shift) for t in range(1, 5)
        }
        for seed in (0, 1, 2)
    }


def test_figures_are_pooled_over_seeds_and_tiles():
    values = drawn_measures(arm(0.0), NAMES)
    # Sum over tiles of 10 t is 100 a seed, and the seeds add 4 (0 + 1 + 2).
    assert values["Dice"][0] == pytest.approx((3 * 100 + 4 * 3) / 1200)
    right, pairs = 3 * (4 * 5 + 10), 3 * (4 * 6 + 10)
    assert values["Acc"][0] == pytest.approx(right / pairs)
    assert len(values["Dice"]) == 201
    assert np.isnan(values["F_c b"]).sum() == 0


def test_draws_take_tiles_and_seeds():
    """With equal tiles only the seeds vary, and the other way round."""
    same_tiles = {s: {f"t{t}": counts((10.0 * s, 100.0)) for t in range(4)} for s in range(3)}
    same_seeds = {s: {f"t{t}": counts((10.0 * t, 100.0)) for t in range(4)} for s in range(3)}
    seeds = drawn_measures(same_tiles, NAMES)["Dice"][1:]
    tiles = drawn_measures(same_seeds, NAMES)["Dice"][1:]
    assert set(np.round(100 * 3 * seeds / 10).astype(int)) == set(range(7))  # sums of 3 of 0, 1, 2
    assert set(np.round(100 * 4 * tiles / 10).astype(int)) <= set(range(13))
    assert tiles.std() > 0


def test_a_gain_of_every_tile_and_seed_holds_though_tiles_differ():
    """Each tile gains 1 of 100, far less than what tiles differ by: draw by draw it is certain."""
    figures = list(table_figures({"base": arm(0.0), "more": arm(1.0)}, NAMES, "base"))
    of = {(f.section, f.name, f.of): f for f in figures}
    low, high = of["Table 4", "more", "Dice"].estimate.interval
    assert high - low > 0.05
    gain = of["Table 4: difference from base", "more", "Dice"].estimate
    assert gain.value == pytest.approx(0.01)
    assert gain.interval == pytest.approx((0.01, 0.01))
    assert of["Table 4", "base", "Dice"].seeds == pytest.approx((0.25, 0.26, 0.27))
    assert ("Table 4: difference from base", "base", "Dice") not in of


def test_one_seed_has_intervals_over_tiles_and_one_tile_has_none():
    one = {0: arm(0.0)[0]}
    assert np.isfinite(drawn_measures(one, NAMES)["Dice"]).all()
    single = {s: {"t1": tiles["t1"]} for s, tiles in arm(0.0).items()}
    assert np.isnan(drawn_measures(single, NAMES)["Dice"][1:]).all()


def test_lines_need_two_arms_of_a_source():
    arms = {"x1": arm(0.0), "x4": arm(2.0), "l1": arm(1.0)}
    plots = synthetic_plots(arms, {"points": {1: "x1", 4: "x4"}, "labels": {1: "l1"}}, NAMES)
    assert [p.title.split(",")[0] for p in plots] == ["Dice", "AJI", "F_d", "Acc"]
    assert list(plots[0].lines) == ["points"]
    x, y = plots[0].lines["points"]
    assert x.tolist() == [1, 4]
    assert y[1] - y[0] == pytest.approx(0.02)
