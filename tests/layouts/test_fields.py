"""Random fields: their covariance, responses, and conditioning where the answer is known."""

from __future__ import annotations

import numpy as np

from napari_cosynth.layouts.gibbs.fields import condition_fields, draw_fields, log_intensity


def test_fields_have_variance_1_and_the_covariance_of_their_scale():
    rng = np.random.default_rng(0)
    drawn = np.array([draw_fields((10.0, 30.0), (40, 40), 3.0, rng) for _ in range(150)])
    np.testing.assert_allclose(drawn.var(axis=(0, 2, 3)), 1, atol=0.08)
    for number, scale in enumerate((10.0, 30.0)):
        for lag in (2, 5, 8):
            product = (drawn[:, number, lag:] * drawn[:, number, :-lag]).mean()
            across = (drawn[:, number, :, lag:] * drawn[:, number, :, :-lag]).mean()
            expected = np.exp(-((3.0 * lag) ** 2) / (2 * scale**2))
            np.testing.assert_allclose([product, across], expected, atol=0.08)
    assert abs((drawn[:, 0] * drawn[:, 1]).mean()) < 0.05


def test_a_field_shows_neither_blocks_nor_a_period():
    """Steps between neighbours are as large at every row as at any other."""
    rng = np.random.default_rng(1)
    drawn = np.array([draw_fields((12.0,), (96, 8), 4.0, rng)[0] for _ in range(200)])
    steps = np.diff(drawn, axis=1).var(axis=(0, 2))
    assert steps.max() < 1.6 * steps.min()
    assert abs((drawn[:, 0] * drawn[:, -1]).mean()) < 0.15


def test_responses_are_linear_between_nodes_and_add_up():
    fields = np.array([[[-3.0, 0.5]], [[1.0, 9.0]]])
    responses = np.array([[[0.0, 2.0], [1.0, 3.0]], [[0.0, 0.0], [-1.0, -1.0]]])
    found = log_intensity(fields, np.array([0.0, 1.0]), responses)
    assert found.tolist() == [[[0 + 3.0, 1.0 + 3.0]], [[-1.0, -1.0]]]


def test_conditioning_gives_the_posterior_of_a_gaussian_likelihood():
    rng = np.random.default_rng(0)
    field = np.zeros((1, 1, 1))
    kept = []
    for _ in range(3000):
        field = condition_fields(
            field,
            lambda: rng.standard_normal((1, 1, 1)),
            lambda f: float(-((f[0, 0, 0] - 1.5) ** 2) / (2 * 0.25)),
            1,
            rng,
        )
        kept.append(field[0, 0, 0])
    np.testing.assert_allclose([np.mean(kept), np.var(kept)], [1.2, 0.2], atol=0.05)
