"""The categorical process of the semantic labels, in log space (Hoogeboom et al. 2021; Eq. 2-4).

q(l_t | l_0) = abar onehot(l_0) + (1 - abar) / K. The reverse step depends on how the head was
trained: the wrong pairing is biased at large strides.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_cosynth.diffusion.schedule import CosineSchedule
from napari_cosynth.diffusion.tensors import LabelHead


def _channel_first(labels: Tensor, classes: int) -> Tensor:
    """int64 (B, H, W) -> float one-hot (B, K, H, W)."""
    return F.one_hot(labels, classes).movedim(-1, 1).float()


def _scalar(value: Tensor, like: Tensor) -> Tensor:
    return value.to(device=like.device, dtype=like.dtype).reshape(-1, 1, 1, 1)


def draw(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """A label per pixel, int64 (B, H, W), drawn by inverting the cumulative distribution.

    ``probabilities`` (B, K, H, W), not necessarily normalised; ``uniform`` (B, H, W) in [0, 1).
    """
    cumulative = probabilities.cumsum(1)
    threshold = uniform.unsqueeze(1).to(cumulative.dtype) * cumulative[:, -1:]
    return (cumulative <= threshold).sum(1).clamp_max(probabilities.shape[1] - 1)


def corrupt(
    labels: Tensor, uniform: Tensor, t: Tensor, schedule: CosineSchedule, classes: int
) -> Tensor:
    """l_t ~ q(l_t | l_0), int64 (B, H, W); ``uniform`` (B, H, W) in [0, 1), ``t`` (B,)."""
    onehot = _channel_first(labels, classes)
    abar = _scalar(schedule.alpha_bar(t), onehot)
    return draw(abar * onehot + (1 - abar) / classes, uniform)


def renoise(
    labels_s: Tensor,
    uniform: Tensor,
    s: Tensor,
    t: Tensor,
    schedule: CosineSchedule,
    classes: int,
) -> Tensor:
    """l_t ~ q(l_t | l_s), t > s, int64 (B, H, W); ``uniform`` (B, H, W) in [0, 1)."""
    onehot = _channel_first(labels_s, classes)
    kept = _scalar(schedule.alpha_bar(t) / schedule.alpha_bar(s), onehot)
    return draw(kept * onehot + (1 - kept) / classes, uniform)


def posterior(
    probabilities: Tensor,
    labels_t: Tensor,
    t: Tensor,
    s: Tensor,
    schedule: CosineSchedule,
    head: LabelHead,
) -> Tensor:
    """p(l_s | l_t) given the head's probabilities of l_0, float32 (B, K, H, W), normalised.

    With a = abar_t / abar_s and current state j:

    - a head trained by cross-entropy estimates p(l_0 | u_t), so the exact posterior is averaged
      over it: sum_k p_k q(l_s = m | l_t = j, l_0 = k);
    - a head trained by the posterior KL was fitted with p inserted for the one-hot l_0:
      p(l_s = m) ~ [abar_s p_m + (1 - abar_s)/K] [a 1(m = j) + (1 - a)/K].
    """
    classes = probabilities.shape[1]
    abar_t = _scalar(schedule.alpha_bar(t), probabilities)
    abar_s = _scalar(schedule.alpha_bar(s), probabilities)
    a = abar_t / abar_s
    current = _channel_first(labels_t, classes).to(probabilities.dtype)
    forward = a * current + (1 - a) / classes
    if head == "kl":
        weights = (abar_s * probabilities + (1 - abar_s) / classes) * forward
        return weights / weights.sum(1, keepdim=True)
    # With p_k divided by its normaliser first, the rest is linear in it: O(K) instead of O(K^2).
    scaled = probabilities / (abar_t * current + (1 - abar_t) / classes).clamp_min(1e-20)
    spread = (1 - abar_s) / classes * scaled.sum(1, keepdim=True)
    result = forward * (abar_s * scaled + spread)
    return result / result.sum(1, keepdim=True).clamp_min(1e-20)


def finish(
    probabilities: Tensor, labels_t: Tensor, t: Tensor, schedule: CosineSchedule, head: LabelHead
) -> Tensor:
    """The last step to s = 0, int64 (B, H, W): the mode, since sampling it leaves speckle."""
    if head == "cross-entropy":
        return probabilities.argmax(1)
    return posterior(probabilities, labels_t, t, torch.zeros_like(t), schedule, head).argmax(1)


def kl_loss(
    logits: Tensor,
    labels: Tensor,
    labels_t: Tensor,
    t: Tensor,
    schedule: CosineSchedule,
    stride: float = 1e-3,
) -> Tensor:
    """One term of the paper's label loss per pixel, float32 (B, H, W), in nats.

    KL(q(l_s | l_t, l_0) || p(l_s | l_t)) with s = t - ``stride``. Where s would fall below 0 it is 0;
    q is then one-hot, and the KL is -log p(l_0 | u_t) under the same posterior.
    """
    classes = logits.shape[1]
    s = (t - stride).clamp_min(0)
    true = posterior(_channel_first(labels, classes), labels_t, t, s, schedule, "kl")
    model = posterior(logits.float().softmax(1), labels_t, t, s, schedule, "kl")
    tiny = 1e-12
    return (true * ((true + tiny).log() - (model + tiny).log())).sum(1)


def bound(
    logits: Tensor,
    labels: Tensor,
    labels_t: Tensor,
    t: Tensor,
    schedule: CosineSchedule,
    stride: float = 1e-3,
) -> Tensor:
    """The paper's label loss per pixel in nats, float32 (B, H, W).

    Its mean over t in [0, 1] is the variational bound of -log p(l_0) (Hoogeboom et al. 2021, Eq. 4).
    The bound is a sum of T = 1 / ``stride`` terms and a prior term. T times the term at ``t`` estimates
    the sum. The prior term is KL(q(l_1 | l_0) || 1 / K): it has no gradient, and is 0 where the
    schedule ends in noise.
    """
    classes = logits.shape[1]
    end = schedule.alpha_bar(torch.ones(1, dtype=torch.float64)).item()
    kept, others = end + (1 - end) / classes, (1 - end) / classes
    prior = kept * math.log(kept * classes)
    if others > 0:
        prior += (classes - 1) * others * math.log(others * classes)
    return kl_loss(logits, labels, labels_t, t, schedule, stride) / stride + prior
