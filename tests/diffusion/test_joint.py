"""Joint corruption, loss and guidance."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from napari_cosynth.diffusion import categorical, joint
from napari_cosynth.diffusion.guidance import Guided, guided
from napari_cosynth.diffusion.schedule import T_MAX, JointSchedule
from napari_cosynth.diffusion.tensors import Condition, Context, JointState, Prediction

K = 3
SCHEDULE = JointSchedule()


def clean_state(batch: int = 2) -> JointState:
    generator = torch.Generator().manual_seed(0)
    return JointState(
        torch.rand(batch, 3, 8, 8, generator=generator) * 2 - 1,
        torch.rand(batch, 1, 8, 8, generator=generator) * 2 - 1,
        torch.randint(0, K, (batch, 8, 8), generator=generator),
    )


def perfect_prediction(clean, noise, t) -> Prediction:
    from napari_cosynth.diffusion import gaussian

    return Prediction(
        gaussian.target(clean.image, noise.image, t, SCHEDULE.image, "v"),
        gaussian.target(clean.distance, noise.distance, t, SCHEDULE.distance, "v"),
        60 * torch.nn.functional.one_hot(clean.labels, K).movedim(-1, 1).float(),
        "v",
    )


def test_a_perfect_prediction_has_no_loss_and_returns_the_clean_state():
    clean, t = clean_state(), torch.tensor([0.3, 0.9], dtype=torch.float64)
    noise = joint.Noise.draw(2, 8, 8, torch.Generator().manual_seed(1))
    state = joint.corrupt(clean, noise, t, SCHEDULE, K)
    prediction = perfect_prediction(clean, noise, t)
    losses = joint.losses(prediction, clean, state, noise, t, SCHEDULE)
    assert float(losses.total(joint.LossWeights())) < 1e-6
    estimate = joint.estimate(prediction, state, t, SCHEDULE)
    torch.testing.assert_close(estimate.image, clean.image, atol=1e-5, rtol=0)
    assert torch.equal(estimate.probabilities.argmax(1), clean.labels)


def test_probabilities_are_over_the_classes_of_a_pixel():
    clean, t = clean_state(), torch.tensor([0.3, 0.9], dtype=torch.float64)
    noise = joint.Noise.draw(2, 8, 8, torch.Generator().manual_seed(1))
    logits = torch.randn(2, K, 8, 8, generator=torch.Generator().manual_seed(2))
    prediction = dataclasses.replace(perfect_prediction(clean, noise, t), label_logits=logits)
    found = joint.estimate(prediction, clean, t, SCHEDULE).probabilities
    expected = logits.exp() / logits.exp().sum(1, keepdim=True)
    torch.testing.assert_close(found, expected)


def test_the_total_weighs_nine_one_three():
    one = torch.ones(())
    losses = joint.Losses(one, 10 * one, 100 * one)
    assert float(losses.total(joint.LossWeights())) == 9 + 10 + 300


def test_low_noise_weighs_each_sample_by_its_own_snr():
    """The weight by the definition, min(1, 5 / (1 + SNR))^g, sample by sample."""
    clean, t = clean_state(), torch.tensor([0.05, 0.6], dtype=torch.float64)
    noise = joint.Noise.draw(2, 8, 8, torch.Generator().manual_seed(1))
    state = joint.corrupt(clean, noise, t, SCHEDULE, K)
    perfect = perfect_prediction(clean, noise, t)
    off = dataclasses.replace(perfect, image=perfect.image + 0.5, distance=perfect.distance - 2)
    abar = SCHEDULE.image.alpha_bar(t)
    weights = (5 / (1 + abar / (1 - abar))).clamp_max(1) ** 0.5
    assert weights[0] < 0.5 and weights[1] == 1
    losses = joint.losses(off, clean, state, noise, t, SCHEDULE, joint.LossWeights(low_noise=0.5))
    torch.testing.assert_close(float(losses.image), 0.25 * float(weights.mean()), rtol=1e-4, atol=0)
    torch.testing.assert_close(float(losses.distance), 4 * float(weights.mean()), rtol=1e-4, atol=0)
    p2 = joint.losses(off, clean, state, noise, t, SCHEDULE, joint.LossWeights(p2=1.0))
    expected = 0.25 * float((1 / (1 + abar / (1 - abar))).mean())
    torch.testing.assert_close(float(p2.image), expected, rtol=1e-4, atol=0)
    plain = joint.losses(off, clean, state, noise, t, SCHEDULE)
    torch.testing.assert_close(float(plain.image), 0.25, rtol=1e-4, atol=0)
    torch.testing.assert_close(plain.labels, losses.labels)


def test_each_label_head_has_its_own_loss():
    clean, t = clean_state(), torch.tensor([0.3, 0.9], dtype=torch.float64)
    noise = joint.Noise.draw(2, 8, 8, torch.Generator().manual_seed(1))
    state = joint.corrupt(clean, noise, t, SCHEDULE, K)
    logits = torch.randn(2, K, 8, 8, generator=torch.Generator().manual_seed(2))
    prediction = dataclasses.replace(perfect_prediction(clean, noise, t), label_logits=logits)
    found = joint.losses(prediction, clean, state, noise, t, SCHEDULE)
    likelihood = logits.log_softmax(1).gather(1, clean.labels[:, None])
    torch.testing.assert_close(found.labels, -likelihood.mean())
    prediction = dataclasses.replace(prediction, label_head="kl")
    found = joint.losses(prediction, clean, state, noise, t, SCHEDULE)
    bound = categorical.bound(logits, clean.labels, state.labels, t, SCHEDULE.labels)
    torch.testing.assert_close(found.labels, bound.mean())


def test_times_are_stratified():
    t = joint.stratified_times(8, torch.Generator().manual_seed(0))
    assert sorted((t / T_MAX * 8).long().tolist()) == list(range(8))


def test_a_state_of_disagreeing_shapes_is_refused():
    clean = clean_state()
    with pytest.raises(ValueError, match="expected image"):
        dataclasses.replace(clean, image=clean.image[:, :, :4])


@dataclasses.dataclass(frozen=True)
class Echo:
    """Returns the mean of the visible text in every output, and counts its passes."""

    passes: list[int]
    classes: int = K

    def prepare(self, condition: Condition) -> Context:
        return Context(condition.points, condition.text, condition.text_mask)

    def __call__(self, state, t, context) -> Prediction:
        self.passes.append(len(state.labels))
        value = (context.text[..., 0] * context.text_mask).sum(1).reshape(-1, 1, 1, 1)
        return Prediction(
            torch.zeros_like(state.image) + value,
            torch.zeros_like(state.distance) + value,
            torch.zeros(len(value), K, 8, 8) + value,
            "v",
        )


def test_guidance_is_equation_6_in_one_doubled_batch():
    echo = Echo([])
    condition = Condition(
        torch.zeros(2, 8, 8, dtype=torch.long), torch.ones(2, 1, 4), torch.ones(2, 1).bool()
    )
    wrapped = guided(echo, 3.0)
    output = wrapped(clean_state(), torch.zeros(2), wrapped.prepare(condition))
    assert echo.passes == [4]
    for part in (output.image, output.distance, output.label_logits):
        torch.testing.assert_close(part, torch.full_like(part, 3.0))  # 3 * 1 + (1 - 3) * 0


def test_weight_one_runs_the_network_once():
    echo = Echo([])
    assert guided(echo, 1.0) is echo
    assert isinstance(guided(echo, 0.0), Guided)


def test_times_are_shuffled():
    """Each place of a batch gets any of the times: else a patch's source would tell its noise."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([joint.stratified_times(8, generator) for _ in range(400)])
    assert torch.allclose(drawn.mean(0), torch.tensor(T_MAX / 2).double(), atol=0.07)
    parts = (drawn / T_MAX * 8).long()
    for place in range(8):
        assert set(parts[:, place].tolist()) == set(range(8))
