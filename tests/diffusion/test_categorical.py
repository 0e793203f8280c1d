"""The categorical process against brute-force enumeration of its joint distribution."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from napari_cosynth.diffusion import categorical
from napari_cosynth.diffusion.schedule import CosineSchedule

K = 4
SCHEDULE = CosineSchedule()


def transition(keep: float) -> np.ndarray:
    """Q[i, j] = q(next = j | now = i)."""
    return keep * np.eye(K) + (1 - keep) / K


def abar(t: float) -> float:
    return float(SCHEDULE.alpha_bar(torch.tensor(t)))


def exact_posterior(p0: np.ndarray, j: int, t: float, s: float) -> np.ndarray:
    """p(l_s | l_t = j) by summing over every (l_0, l_s), for a belief p(l_0 | l_t = j)."""
    to_s, s_to_t, to_t = transition(abar(s)), transition(abar(t) / abar(s)), transition(abar(t))
    out = np.zeros(K)
    for k, m in itertools.product(range(K), range(K)):
        out[m] += p0[k] * to_s[k, m] * s_to_t[m, j] / to_t[k, j]
    return out


def kl_posterior(p0: np.ndarray, j: int, t: float, s: float) -> np.ndarray:
    """What a head trained by the KL means: p0 propagated to s, times the likelihood of j."""
    weights = (p0 @ transition(abar(s))) * transition(abar(t) / abar(s))[:, j]
    return weights / weights.sum()


STRIDES = [(0.9, 0.5), (0.999, 0.2), (0.5, 0.49), (0.3, 0.0)]


@pytest.mark.parametrize("t,s", STRIDES)
@pytest.mark.parametrize("head,exact", [("cross-entropy", exact_posterior), ("kl", kl_posterior)])
def test_posterior_is_the_enumerated_one(t, s, head, exact):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(K), size=K)  # one belief per current state
    got = categorical.posterior(
        torch.from_numpy(probabilities.T[None, :, :, None].copy()),
        torch.arange(K).reshape(1, K, 1),
        torch.tensor(t),
        torch.tensor(s),
        SCHEDULE,
        head,
    )[0, :, :, 0].numpy()
    for j in range(K):
        np.testing.assert_allclose(got[:, j], exact(probabilities[j], j, t, s), atol=1e-6)


@pytest.mark.parametrize("head", ["cross-entropy", "kl"])
def test_a_posterior_adds_up_to_one_also_where_nothing_is_uncertain(head):
    t, none = torch.tensor(0.6), torch.tensor(0.0)
    labels = torch.arange(K).reshape(1, 1, K)
    certain = torch.zeros(1, K, 1, K)
    certain[0, 2] = 1
    at_end = categorical.posterior(certain, labels, t, none, SCHEDULE, head)
    torch.testing.assert_close(at_end, certain)
    before = categorical.posterior(certain, labels, t, t - 0.1, SCHEDULE, head)
    torch.testing.assert_close(before.sum(1), torch.ones(1, 1, K))


def test_the_wrong_pairing_is_biased():
    """The two heads' steps differ at large strides, so the pairing must not be mixed up."""
    p0 = np.array([0.5, 0.3, 0.15, 0.05])
    apart = [
        np.abs(exact_posterior(p0, j, 0.7, 0.2) - kl_posterior(p0, j, 0.7, 0.2)).max()
        for j in range(K)
    ]
    assert max(apart) > 0.02


@pytest.mark.parametrize("head", ["cross-entropy", "kl"])
def test_strides_compose_for_a_one_hot_belief(head):
    """t -> r -> s equals t -> s when p is one-hot (method, section 3)."""
    t, r, s = (torch.tensor(v) for v in (0.95, 0.6, 0.2))
    for k, j in itertools.product(range(K), range(K)):
        belief = torch.zeros(1, K, 1, 1)
        belief[0, k] = 1

        def step(state: int, start, end, belief=belief):
            labels = torch.full((1, 1, 1), state)
            return categorical.posterior(belief, labels, start, end, SCHEDULE, head)[0, :, 0, 0]

        direct = step(j, t, s)
        middle = step(j, t, r)
        composed = sum(middle[m] * step(m, r, s) for m in range(K))
        torch.testing.assert_close(composed, direct, atol=1e-5, rtol=0)


def test_strides_compose_for_the_exact_posterior_of_a_prior():
    prior = np.array([0.6, 0.2, 0.15, 0.05])

    def belief(j: int, t: float) -> np.ndarray:
        weights = prior * transition(abar(t))[:, j]
        return weights / weights.sum()

    def step(j: int, t: float, s: float) -> np.ndarray:
        return (
            categorical.posterior(
                torch.from_numpy(belief(j, t)).reshape(1, K, 1, 1),
                torch.full((1, 1, 1), j),
                torch.tensor(t),
                torch.tensor(s),
                SCHEDULE,
                "cross-entropy",
            )
            .reshape(K)
            .numpy()
        )

    t, r, s = 0.95, 0.6, 0.2
    for j in range(K):
        middle = step(j, t, r)
        composed = sum(middle[m] * step(m, r, s) for m in range(K))
        np.testing.assert_allclose(composed, step(j, t, s), atol=1e-6)


def test_corruption_has_the_forward_marginal():
    t = torch.tensor([0.7])
    labels = torch.zeros(1, 400, 400, dtype=torch.long)
    uniform = torch.rand(1, 400, 400, generator=torch.Generator().manual_seed(0))
    noisy = categorical.corrupt(labels, uniform, t, SCHEDULE, K)
    kept = abar(0.7) + (1 - abar(0.7)) / K
    assert abs((noisy == 0).float().mean().item() - kept) < 0.005
    assert abs((noisy == 3).float().mean().item() - (1 - abar(0.7)) / K) < 0.005


def test_draw_never_takes_a_class_of_probability_zero():
    probabilities = torch.tensor([0.0, 0.5, 0.0, 0.5]).reshape(1, K, 1, 1).expand(1, K, 1, 3)
    uniform = torch.tensor([0.0, 0.4999, 0.9999]).reshape(1, 1, 3)
    assert categorical.draw(probabilities, uniform).flatten().tolist() == [1, 1, 3]


def test_kl_loss_is_zero_for_certainty_and_positive_otherwise():
    labels = torch.randint(0, K, (1, 5, 5), generator=torch.Generator().manual_seed(1))
    certain = 50 * torch.nn.functional.one_hot(labels, K).movedim(-1, 1).float()
    t = torch.tensor([0.4], dtype=torch.float64)
    loss = categorical.kl_loss(certain, labels, labels, t, SCHEDULE)
    assert loss.abs().max() < 1e-5
    assert categorical.kl_loss(-certain, labels, labels, t, SCHEDULE).min() > 0


def test_kl_loss_at_the_last_step_is_the_log_likelihood():
    labels = torch.randint(0, K, (1, 4, 4), generator=torch.Generator().manual_seed(2))
    logits = torch.randn(1, K, 4, 4, generator=torch.Generator().manual_seed(3))
    t = torch.tensor([0.0005], dtype=torch.float64)
    step = categorical.posterior(logits.softmax(1), labels, t, torch.zeros_like(t), SCHEDULE, "kl")
    expected = -step.gather(1, labels[:, None]).log()[:, 0]
    torch.testing.assert_close(
        categorical.kl_loss(logits, labels, labels, t, SCHEDULE), expected, atol=1e-4, rtol=1e-3
    )


class Ramp(CosineSchedule):
    """Keeps a part of the labels to the end, so that the prior term counts."""

    def alpha_bar(self, t):
        return 1 - 0.7 * t.double()


@pytest.mark.parametrize("schedule", [CosineSchedule(), Ramp()], ids=["cosine", "ramp"])
def test_the_mean_of_the_label_loss_is_the_variational_bound(schedule):
    """Against the bound by enumeration: transition matrices, Bayes' rule, and nothing of ours."""
    classes, steps, clean = 3, 20, 1
    rng = np.random.default_rng(0)
    guesses = rng.dirichlet(np.ones(classes), (steps + 1, classes))  # p(l_0 | l_t) at each time
    kept = [float(schedule.alpha_bar(torch.tensor(i / steps))) for i in range(steps + 1)]

    def forward(share):
        return share * np.eye(classes) + (1 - share) / classes

    expected = 0.0
    for i in range(1, steps + 1):
        marginal, before = forward(kept[i])[clean], forward(kept[i - 1])
        step = forward(kept[i] / kept[i - 1])
        for state in range(classes):
            true = before[clean] * step[:, state]
            model = guesses[i, state] @ before * step[:, state]
            true, model = true / true.sum(), model / model.sum()
            some = true > 0
            term = (true[some] * np.log(true[some] / model[some])).sum()
            expected += marginal[state] * term
    last = forward(kept[-1])[clean]
    expected += (last * np.log(last * classes)).sum()

    found = 0.0
    for i in range(1, steps + 1):
        for state in range(classes):
            loss = categorical.bound(
                torch.from_numpy(guesses[i, state]).log().reshape(1, classes, 1, 1),
                torch.full((1, 1, 1), clean),
                torch.full((1, 1, 1), state),
                torch.tensor([i / steps], dtype=torch.float64),
                schedule,
                1 / steps,
            )
            found += forward(kept[i])[clean][state] * float(loss) / steps
    assert found == pytest.approx(expected, rel=1e-4)
    assert expected > 1


def test_the_label_loss_is_of_the_images_order_from_the_first_step():
    """A head that knows nothing is at log K or above, whichever loss it is trained by."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 6, (256, 8, 8), generator=generator)
    t = torch.rand(256, generator=generator, dtype=torch.float64)
    noisy = categorical.corrupt(
        labels, torch.rand(labels.shape, generator=generator), t, SCHEDULE, 6
    )
    blind = torch.zeros(256, 6, 8, 8)
    assert 1 < float(categorical.bound(blind, labels, noisy, t, SCHEDULE).mean()) < 4
