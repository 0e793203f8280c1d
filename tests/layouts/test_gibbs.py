"""The sampler against what is known exactly, and against rejection sampling."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cosynth.layouts.gibbs.sampler import GibbsSampler, Interaction, Window

KNOTS = np.array([2.0, 8.0, 12.0])


def window(side: float, *activity: float) -> Window:
    nodes = int(np.ceil(side / 3))
    log = np.log(np.array(activity))[:, None, None] * np.ones((nodes, nodes))
    return Window(np.array([side, side]), log, 3.0)


def free(classes: int) -> Interaction:
    zero = np.zeros((classes, classes))
    return Interaction(zero, KNOTS, np.zeros((classes, classes, 3)))


def distances(points: np.ndarray) -> np.ndarray:
    away = np.linalg.norm(points[:, None] - points[None], axis=-1)
    return away[np.triu_indices(len(points), 1)]


def run(chain: GibbsSampler, sweeps: int, burn: int = 10, rounds: int = 1) -> list:
    found = []
    for number in range(burn + sweeps):
        chain.sweep(rounds)
        if number >= burn:
            found.append(chain.points())
    return found


def copies(side: float, gap: float, number: int, *activity: float) -> Window:
    """``number`` x ``number`` squares of ``side`` µm, multiples of 3, too far apart to interact.

    Each is a pattern of its own: a sweep of all costs little more than one of a single square.
    """
    pitch = side + gap
    nodes = int(number * pitch / 3)
    inside = (np.arange(nodes) * 3 % pitch) < side
    log = np.full((len(activity), nodes, nodes), -np.inf)
    log[:, np.ix_(inside, inside)[0], np.ix_(inside, inside)[1]] = np.log(activity)[:, None, None]
    return Window(np.array([number * pitch, number * pitch]), log, 3.0)


def per_copy(points: np.ndarray, pitch: float, number: int) -> np.ndarray:
    """The copy each point lies in."""
    at = (points // pitch).astype(int)
    return at[:, 0] * number + at[:, 1]


def test_without_interactions_it_is_a_poisson_process():
    area = copies(30, 15, 6, 0.012, 0.005)
    chain = GibbsSampler(free(2), area, np.random.default_rng(0))
    counts = np.concatenate(
        [
            [np.bincount(per_copy(p[t == k], 45, 6), minlength=36) for k in (0, 1)]
            for p, t in run(chain, 150)[::5]
        ],
        axis=1,
    )
    np.testing.assert_allclose(counts.mean(1), [10.8, 4.5], rtol=0.06)
    np.testing.assert_allclose(counts.var(1), [10.8, 4.5], rtol=0.2)
    assert abs(np.corrcoef(counts)[0, 1]) < 0.1


def test_an_intensity_that_varies():
    area = window(96, 0.01)
    area.log_activity[0, :, 16:] = np.log(0.03)
    chain = GibbsSampler(free(1), area, np.random.default_rng(0))
    found = run(chain, 150)
    left, right = (
        np.mean([(side(p[:, 1])).sum() for p, _ in found])
        for side in (lambda x: x < 48, lambda x: x >= 48)
    )
    np.testing.assert_allclose([left, right], [46.1, 138.2], rtol=0.06)


@pytest.mark.parametrize("strength", [-1.5, -0.4])
def test_strauss_counts_and_pairs_against_rejection(strength):
    """Exact samples: Poisson patterns, kept with the probability exp(sum of phi), phi at most 0."""
    potential = np.zeros((1, 1, 3))
    potential[0, 0] = [strength, strength / 3, 0]
    interaction = Interaction(np.full((1, 1), 2.0), KNOTS, potential)
    rng = np.random.default_rng(0)
    exact = []
    while len(exact) < 2500:
        points = rng.uniform(0, 18, (rng.poisson(0.02 * 18**2), 2))
        away = distances(points)
        if np.log(rng.random()) < interaction.at(0, 0, away).sum():
            exact.append((len(points), (away < 8).sum()))
    chain = GibbsSampler(interaction, copies(18, 12, 8, 0.02), rng)
    found = []
    for points, _ in run(chain, 160)[::4]:
        copy = per_copy(points, 30, 8)
        found += [
            (len(own), (distances(own) < 8).sum()) for own in (points[copy == c] for c in range(64))
        ]
    np.testing.assert_allclose(np.mean(found, 0), np.mean(exact, 0), rtol=0.08)
    np.testing.assert_allclose(np.var(found, 0)[0], np.var(exact, 0)[0], rtol=0.15)


def test_two_classes_against_rejection():
    potential = np.zeros((2, 2, 3))
    potential[0, 1] = potential[1, 0] = [-2, -1, 0]
    interaction = Interaction(np.array([[3.0, 1], [1, 2]]), KNOTS, potential)
    rng = np.random.default_rng(1)
    exact = []
    while len(exact) < 2500:
        points = rng.uniform(0, 18, (rng.poisson(5), 2))
        tags = (rng.random(len(points)) < 0.4).astype(int)
        energy = sum(
            float(interaction.at(a, b, np.linalg.norm(p - q)))
            for n, (p, a) in enumerate(zip(points, tags, strict=True))
            for q, b in zip(points[:n], tags[:n], strict=True)
        )
        if np.log(rng.random()) < energy:
            exact.append(np.bincount(tags, minlength=2))
    chain = GibbsSampler(interaction, copies(18, 12, 8, 3 / 324, 2 / 324), rng)
    found = np.concatenate(
        [
            np.stack([np.bincount(per_copy(p[t == k], 30, 8), minlength=64) for k in (0, 1)], 1)
            for p, t in run(chain, 160)[::4]
        ]
    )
    np.testing.assert_allclose(found.mean(0), np.mean(exact, 0), rtol=0.1)
    both = [(np.min(c, 1) > 0).mean() for c in (found, exact)]
    np.testing.assert_allclose(*both, atol=0.05)


def test_counted_classes_keep_their_count_and_spread_by_intensity():
    area = window(60, 0.01)
    area.log_activity[0, :10] = np.log(0.04)  # the upper half is four times as dense
    rng = np.random.default_rng(2)
    chain = GibbsSampler(free(1), area, rng)
    chain.put(rng.uniform(0, 60, (20, 2)), np.zeros(20, int))
    chain.counted[:] = True
    found = run(chain, 300, 20)
    assert {len(p) for p, _ in found} == {20}
    upper = np.mean([(p[:, 0] < 30).mean() for p, _ in found])
    np.testing.assert_allclose(upper, 0.8, atol=0.04)


def test_hard_cores_hold_and_obstacles_stay():
    core = np.array([[6.0, 4.0], [4.0, 3.0]])
    potential = np.zeros((2, 2, 3))
    potential[:, :, 0] = 1.0  # attraction pushes them together as far as the core lets them
    chain = GibbsSampler(
        Interaction(core, KNOTS, potential),
        window(70, 0.02, 0.02),
        np.random.default_rng(0),
        (np.array([[20.0, 20.0], [-3.0, 35.0]]), np.array([0, 1])),
    )
    for points, tags in run(chain, 40, 5):
        points = np.vstack([points, [[20.0, 20.0], [-3.0, 35.0]]])
        tags = np.append(tags, [0, 1])
        away = np.linalg.norm(points[:, None] - points[None], axis=-1)
        np.fill_diagonal(away, np.inf)
        assert (away >= core[tags[:, None], tags]).all()
        assert len(points) > 60


def test_conditional_intensity_against_the_definition():
    rng = np.random.default_rng(5)
    potential = rng.normal(0, 0.5, (2, 2, 3))
    potential = (potential + potential.transpose(1, 0, 2)) / 2
    potential[..., -1] = 0
    interaction = Interaction(np.full((2, 2), 1.5), KNOTS, potential)
    points, tags = rng.uniform(0, 60, (50, 2)), rng.integers(0, 2, 50)
    chain = GibbsSampler(interaction, window(60, 0.01, 0.03), rng, (points, tags))
    places, kinds = rng.uniform(0, 60, (30, 2)), rng.integers(0, 2, 30)
    expected = [
        np.log((0.01, 0.03)[k])
        + sum(
            float(interaction.at(k, t, np.linalg.norm(u - p)))
            for p, t in zip(points, tags, strict=True)
        )
        for u, k in zip(places, kinds, strict=True)
    ]
    np.testing.assert_allclose(chain.log_papangelou(places, kinds), expected, atol=0.03)


def test_new_points_lie_in_parts_that_take_them():
    area = window(60, 0.02)
    area.part_of = lambda points: (points[:, 1] < 20).astype(np.int64)
    chain = GibbsSampler(free(1), area, np.random.default_rng(0))
    for points, _ in run(chain, 20, 2):
        assert len(points) and (points[:, 1] < 20).all()
