"""The fit recovers what patterns were drawn from."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cosynth.layouts.gibbs.calibrate import fit_layout_model, limited, total_pairs
from napari_cosynth.layouts.gibbs.fields import draw_fields, log_intensity
from napari_cosynth.layouts.gibbs.fit_fields import (
    EDGES,
    NODES,
    fit_responses,
    within_tile_correlation,
)
from napari_cosynth.layouts.gibbs.fit_interaction import (
    KNOTS,
    fit_hard_core,
    fit_potentials,
    hats,
    pair_sums,
    without_fragments,
)
from napari_cosynth.layouts.gibbs.sampler import GibbsSampler, Interaction, Window
from napari_cosynth.layouts.gibbs.tiles import Tile
from napari_cosynth.types import ClassTable, Layout

CORE = np.array([[3.0, 2.5], [2.5, 3.5]])


def true_potentials() -> np.ndarray:
    potential = np.zeros((2, 2, len(KNOTS)))
    potential[0, 0] = np.interp(KNOTS, [3, 6, 9], [0.6, 0.6, 0])
    potential[1, 1] = np.interp(KNOTS, [3, 9], [-1.2, 0])
    potential[0, 1] = potential[1, 0] = np.interp(KNOTS, [3, 11], [-1.5, 0])
    return potential


@pytest.fixture(scope="module")
def drawn() -> list[Tile]:
    """Four patterns of the known process on 240 µm."""
    rng = np.random.default_rng(0)
    log = np.log([0.004, 0.012])[:, None, None] * np.ones((80, 80))
    window = Window(np.array([240.0, 240.0]), log, 3.0)
    interaction = Interaction(CORE, np.array(KNOTS), true_potentials())
    tiles = []
    for _ in range(4):
        chain = GibbsSampler(interaction, window, rng)
        for _ in range(12):
            chain.sweep(4)
        tiles.append(Tile(*chain.points(), window.extent))
    return tiles


def test_potentials_are_recovered(drawn):
    found, intercepts = fit_potentials(drawn, CORE, surroundings=False)
    assert np.array_equal(found, found.transpose(1, 0, 2))
    assert (found[..., -1] == 0).all()
    seen = slice(2, None)  # at 2 and 3 µm there is next to nothing to see
    off = np.abs(found - true_potentials())[..., seen]
    assert off.mean() < 0.15
    assert off.max() < 0.7  # some pairs of the rarer class are few
    density = np.mean([t.counts(2) / t.area for t in drawn], 0)
    np.testing.assert_allclose(np.exp(intercepts) * density, [0.004, 0.012], rtol=0.3)


def test_hard_cores_are_recovered(drawn):
    found = fit_hard_core(drawn, 2, share=0.001)
    assert (found >= CORE - 1e-9).all()
    assert (found < CORE + 1.2).all()


def test_hard_cores_of_classes_that_never_meet_are_the_mean_of_their_own():
    points = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), -1).reshape(-1, 2) * 5
    tile = Tile(
        np.concatenate([points, points * 2 + [0, 200]]),
        np.repeat([0, 1], 100),
        np.array([99.0, 300]),
    )
    assert fit_hard_core([tile], 2).tolist() == [[5.0, 7.5], [7.5, 10.0]]


def test_of_fragments_only_the_first_remains():
    points = np.array([[10.0, 10], [10, 11], [10, 12.5], [30, 30]])
    tile = Tile(points, np.array([0, 0, 0, 0]), np.array([50.0, 50.0]))
    found = without_fragments(tile, np.full((1, 1), 2.0))
    assert found.points.tolist() == [[10, 10], [10, 12.5], [30, 30]]


def test_responses_explain_the_correlation_of_a_log_gaussian_process():
    """One class, log intensity 0.9 G of 25 µm: g(r) = exp(0.81 exp(-r²/1250))."""
    rng = np.random.default_rng(1)
    tiles = []
    for _ in range(60):
        field = draw_fields((25.0,), (60, 60), 4.0, rng)
        response = np.array([[[0.9 * n for n in (-4.0, 4.0)]]])
        rate = 0.006 * np.exp(log_intensity(field, np.array([-4.0, 4.0]), response)[0])
        counts = rng.poisson(rate * 16)
        cells = np.repeat(np.argwhere(counts >= 0), counts.ravel(), axis=0)
        points = (cells + rng.random(cells.shape)) * 4
        tiles.append(Tile(points, np.zeros(len(points), int), np.array([240.0, 240.0])))
    correlation, pairs = within_tile_correlation(tiles, 1, EDGES)
    responses = fit_responses(correlation, pairs, EDGES, tiles[0].extent, (25.0,))
    nodes = np.array(NODES)
    slope = np.polyfit(nodes, responses[0, 0], 1, w=np.exp(-(nodes**2) / 4))[0]
    np.testing.assert_allclose(abs(slope), 0.9, atol=0.25)  # a field's sign is arbitrary


def test_hats_add_up_to_1_before_the_last_knot():
    distance = np.array([0.5, 2, 3.3, 7, 10])
    np.testing.assert_allclose(hats(distance, np.array(KNOTS)).sum(1)[:-1], 1)
    assert hats(np.array([14.0]), np.array(KNOTS)).sum() == 0


def test_pair_sums_against_all_pairs(drawn):
    tile = Tile(drawn[0].points[:60], drawn[0].classes[:60], drawn[0].extent)
    knots = np.array(KNOTS)
    expected = np.zeros((60, 2, len(knots) - 1))
    for i in range(60):
        for j in range(60):
            away = np.linalg.norm(tile.points[i] - tile.points[j])
            if i != j and away <= knots[-1]:
                expected[i, tile.classes[j]] += hats(np.array([away]), knots)[0]
    found = pair_sums(tile.points, tile.classes, tile, 2, knots, True)
    np.testing.assert_allclose(found, expected)
    total = np.stack([expected[tile.classes == k].sum(0) for k in (0, 1)])
    np.testing.assert_allclose(total_pairs([tile], 2), total)


def test_potentials_are_limited():
    assert limited(np.full(len(KNOTS) - 1, 9.0)).max() <= 1
    assert limited(np.full(len(KNOTS) - 1, -99.0)).min() == -6


def as_layout(tile: Tile, table: ClassTable) -> Layout:
    return Layout(tile.points / 0.5 - 0.5, tile.classes + 1, (480, 480), 0.5, table)


def test_a_whole_fit(drawn):
    table = ClassTable.of("a", "b", "never there")
    said: list[str] = []
    layouts = [("liver", as_layout(tile, table)) for tile in drawn]
    model = fit_layout_model(layouts, table, {"data": "x"}, 1, said.append)
    assert model.classes == ("a", "b", "never there")
    assert [t.name for t in model.tissues] == ["liver"]
    assert model.tissues[0].classes == ("a", "b")
    assert len(model.tissues[0].levels) == 4
    assert any("round 1 of 1" in line for line in said)
    again = fit_layout_model(layouts, table, {"data": "x"}, 1, said.append)
    assert again == model


def test_too_few_nuclei(drawn):
    table = ClassTable.of("a", "b")
    tile = Tile(drawn[0].points[:5], drawn[0].classes[:5], drawn[0].extent)
    with pytest.raises(ValueError, match="at least 40 nuclei"):
        fit_layout_model([("", as_layout(tile, table))], table, {})
