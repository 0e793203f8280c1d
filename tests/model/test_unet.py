"""The networks: sizes on the meta device, shapes, what the conditions reach, a tiny overfit."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from napari_cosynth.diffusion import joint
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.tensors import Condition, JointState
from napari_cosynth.model.unet import JointUNet, NetworkConfig, preset

TINY = {
    "widths": (8, 16),
    "blocks": (1, 1),
    "text_width": 16,
    "point_channels": 8,
    "point_growth": 4,
}


def tiny(name: str) -> JointUNet:
    levels = {"self_attention": (1,), "cross_attention": (1,), "point_blocks": 1}
    torch.manual_seed(0)
    return JointUNet(preset(name, classes=4, **TINY, **levels))


def inputs(batch: int = 1, size: int = 16) -> tuple[JointState, Condition]:
    generator = torch.Generator().manual_seed(0)
    state = JointState(
        torch.randn(batch, 3, size, size, generator=generator),
        torch.randn(batch, 1, size, size, generator=generator),
        torch.randint(0, 4, (batch, size, size), generator=generator),
    )
    points = torch.zeros(batch, size, size, dtype=torch.long)
    points[:, 5, 6] = 2
    text = torch.randn(batch, 3, 16, generator=generator)
    return state, Condition(points, text, torch.ones(batch, 3).bool())


def wake(network: JointUNet) -> JointUNet:
    """Gives the layers that start at zero something to say."""
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return network


@pytest.mark.parametrize("name,low,high", [("compact", 12e6, 14.5e6), ("paper", 650e6, 850e6)])
def test_sizes_of_the_presets(name, low, high):
    with torch.device("meta"):
        network = JointUNet(preset(name, classes=7))
    assert low < sum(p.numel() for p in network.parameters()) < high


@pytest.mark.parametrize("name", ["compact", "paper"])
@pytest.mark.parametrize("shape", [(16, 16), (32, 16)])
def test_shapes(name, shape):
    network = tiny(name)
    state, condition = inputs(2, 32)
    height, width = shape
    state = JointState(
        state.image[..., :height, :width],
        state.distance[..., :height, :width],
        state.labels[..., :height, :width],
    )
    condition = dataclasses.replace(condition, points=condition.points[:, :height, :width])
    output = network(state, torch.tensor([0.1, 0.9]), network.prepare(condition))
    assert output.image.shape == (2, 3, height, width)
    assert output.distance.shape == (2, 1, height, width)
    assert output.label_logits.shape == (2, 4, height, width)
    assert output.parametrisation == ("v" if name == "compact" else "epsilon")


@pytest.mark.parametrize("name", ["compact", "paper"])
def test_points_text_and_time_reach_the_output(name):
    network = wake(tiny(name)).eval()
    state, condition = inputs()
    t = torch.tensor([0.5])

    def run(condition: Condition, t: torch.Tensor = t) -> torch.Tensor:
        with torch.no_grad():
            return network(state, t, network.prepare(condition)).image

    base = run(condition)
    moved = dataclasses.replace(condition, points=condition.points.roll(4, 2))
    retagged = dataclasses.replace(condition, points=(condition.points > 0).long() * 3)
    reworded = dataclasses.replace(condition, text=condition.text.flip(-1))
    for other in (run(moved), run(retagged), run(reworded), run(condition.null())):
        assert (other - base).abs().max() > 1e-6
    assert (run(condition, torch.tensor([0.1])) - base).abs().max() > 1e-6


def test_blurred_points_are_gaussians_that_add_up():
    """Against the sum of bells, written out: the stem sees it where it passes its input on."""
    config = preset("compact", classes=4, point_blur=1.5, **TINY)
    encoder = JointUNet(config).points
    points = torch.zeros(1, 16, 16, dtype=torch.long)
    points[0, 5, 6], points[0, 6, 9] = 2, 3
    seen = []
    encoder.stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    encoder(points)
    drawn = torch.nn.functional.pixel_shuffle(seen[0], config.patch)[0, 0] / 4
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    bells = [
        torch.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * 1.5**2))
        * (((y - a).abs() <= 5) & ((x - b).abs() <= 5))
        for a, b in ((5, 6), (6, 9))
    ]
    torch.testing.assert_close(drawn, bells[0] + bells[1])


def test_the_null_text_does_not_depend_on_the_words():
    network = wake(tiny("compact")).eval()
    state, condition = inputs()
    other = dataclasses.replace(condition, text=torch.randn_like(condition.text))
    with torch.no_grad():
        first, second = (
            network(state, torch.tensor([0.5]), network.prepare(c.null())).image
            for c in (condition, other)
        )
    assert torch.equal(first, second)
    assert torch.isfinite(first).all()


def test_masked_tokens_are_not_seen():
    network = wake(tiny("compact")).eval()
    state, condition = inputs()
    mask = torch.tensor([[True, True, False]])
    outputs = []
    for value in (0.0, 9.0):
        text = condition.text.clone()
        text[:, 2] = value
        masked = dataclasses.replace(condition, text=text, text_mask=mask)
        with torch.no_grad():
            outputs.append(network(state, torch.tensor([0.5]), network.prepare(masked)).image)
    assert torch.equal(*outputs)


@pytest.mark.parametrize("name", ["compact", "paper"])
def test_a_tiny_overfit(name):
    """A hundred steps on one patch bring every loss down, for both kinds of loss."""
    network = tiny(name)
    generator = torch.Generator().manual_seed(0)
    _, condition = inputs(4)
    labels = torch.zeros(4, 16, 16, dtype=torch.long)
    labels[:, 3:8, 4:9] = 2
    inside = (labels > 0).float()[:, None]
    clean = JointState((0.8 - inside).expand(-1, 3, -1, -1) * 0.9, 2 * inside - 1, labels)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    schedule, seen = JointSchedule(), []
    for _ in range(150):
        t = joint.stratified_times(4, generator).clamp_min(0.002)
        noise = joint.Noise.draw(4, 16, 16, generator)
        state = joint.corrupt(clean, noise, t, schedule, 4)
        output = network(state, t, network.prepare(condition))
        losses = joint.losses(output, clean, state, noise, t, schedule)
        optimizer.zero_grad()
        losses.total(joint.LossWeights()).backward()
        optimizer.step()
        seen.append([float(v.detach()) for v in (losses.image, losses.distance, losses.labels)])
    first, last = torch.tensor(seen[:10]).mean(0), torch.tensor(seen[-30:]).mean(0)
    assert (last < 0.8 * first).all(), (first, last)


@pytest.mark.parametrize(
    "change,message",
    [
        ({"widths": (12, 16), "blocks": (1, 1)}, "multiples of 8"),
        ({"widths": (8, 16), "blocks": (1,)}, "as many blocks"),
        ({"depth": 3}, r"unknown \['depth'\]"),
    ],
)
def test_a_bad_configuration_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        preset("compact", classes=3, **change)


def test_unknown_preset():
    with pytest.raises(ValueError, match="'huge'"):
        preset("huge", classes=3)
    assert NetworkConfig(classes=3).multiple == 16
