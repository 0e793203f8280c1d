"""A smaller network from a larger one: what it starts with, and what it learns from a teacher."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from napari_cosynth.model.checkpoint import build, load
from napari_cosynth.model.efficientnet import pretrained
from napari_cosynth.training.adversarial.module import AdversarialDiffusion
from napari_cosynth.training.adversarial.teacher import Teacher, distillation_error
from napari_cosynth.training.data import CosynthData
from napari_cosynth.training.initial import start_from
from napari_cosynth.training.run import train
from napari_cosynth.training.smaller import shrunk

SMALL = {"widths": [8, 8], "blocks": [1, 1]}


@pytest.fixture(scope="module")
def large(few_recipe, data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("large") / "run"
    wide = {**few_recipe.network, "widths": [16, 24], "blocks": [2, 3]}
    return train(
        dataclasses.replace(few_recipe, network=wide), data, out, device="cpu", progress=False
    )


def with_teacher(recipe, teacher: Path):
    adversarial = dataclasses.replace(recipe.adversarial, teacher=str(teacher))
    return dataclasses.replace(recipe, network={**recipe.network, **SMALL}, adversarial=adversarial)


def smaller(large: Path, **changes):
    config = load(large).config
    network = dataclasses.replace(config.network, **changes)
    return dataclasses.replace(config, network=network)


def test_a_network_with_fewer_blocks_keeps_the_first_and_the_last(large):
    config = smaller(large, blocks=(1, 1))
    model = build(config)
    start_from(model, config, large)
    theirs, ours = load(large).model.state_dict(), model.state_dict()
    for ours_at, theirs_at in [
        ("down.0.0", "down.0.0"),
        ("down.1.0", "down.1.0"),
        ("up.0.0", "up.0.0"),  # level 1: four blocks become two
        ("up.0.1", "up.0.3"),
        ("up.1.1", "up.1.2"),
    ]:
        keys = [k for k in ours if k.startswith(f"network.{ours_at}.block.")]
        assert keys
        for key in keys:
            assert torch.equal(ours[key], theirs[key.replace(ours_at, theirs_at)]), key
    # The text is attended to after the last block, on both ways.
    there = [k for k in ours if ".1.0.text." in k and "down" in k]
    assert there
    for key in there:
        assert torch.equal(ours[key], theirs[key.replace("down.1.0", "down.1.2")])


def test_a_narrower_network_keeps_channels_of_either_part_of_a_concatenation(large):
    config = smaller(large, widths=(8, 16))
    model = build(config)
    start_from(model, config, large)
    key = "network.up.1.0.block."  # of level 0: 24 channels from below, 16 from the skip
    theirs, ours = load(large).model.state_dict(), model.state_dict()
    name = next(
        k for k in ours if k.startswith(key) and ours[k].ndim == 4 and ours[k].shape[1] > 16
    )
    below, skip = [(n * 24) // 16 for n in range(16)], [24 + 2 * n for n in range(8)]
    rows = [2 * n for n in range(8)]
    grown = (40 / 24) ** 0.5
    wanted = theirs[name][rows][:, below + skip] * grown
    assert torch.allclose(ours[name], wanted)


def test_a_narrower_network_leaves_classes_and_numbers_of_the_look(large):
    old, new = load(large).config.network, smaller(large, widths=(8, 16)).network
    wanted = build(smaller(large, widths=(8, 16))).state_dict()
    key = "network.look.weight"
    wanted[key] = torch.zeros(len(wanted[key]), old.look + 2)
    wanted["network.labels.weight"] = torch.zeros(1, old.label_width)
    theirs = load(large).model.state_dict()
    ours = shrunk(theirs, old, wanted, new)
    assert torch.equal(ours[key], theirs[key][::2])  # twice as wide a time embedding
    assert torch.equal(ours["network.labels.weight"], theirs["network.labels.weight"])


def test_a_network_of_the_same_size_gets_every_weight(large):
    config = smaller(large)
    model = build(config)
    start_from(model, config, large)
    for key, value in load(large).model.state_dict().items():
        assert torch.equal(value, model.state_dict()[key]), key


def test_a_wider_network_is_refused(large):
    config = smaller(large, widths=(16, 32))
    with pytest.raises(ValueError, match="widths is"):
        start_from(build(config), config, large)


def test_a_student_is_drawn_to_its_teacher(large, few_recipe, data):
    recipe = with_teacher(few_recipe, large)
    adversarial = dataclasses.replace(
        recipe.adversarial,
        **dict.fromkeys(("weight", "area", "look", "power", "separation"), 0.0),
    )
    recipe = dataclasses.replace(recipe, adversarial=adversarial)
    sets = CosynthData(recipe, data)
    config = smaller(large, widths=(8, 8), blocks=(1, 1))
    torch.manual_seed(0)
    model = build(config)
    start_from(model, config, large)
    teacher = Teacher(str(large), config)
    module = AdversarialDiffusion(model, recipe, pretrained(), config.look, teacher)
    batch = sets.stream.batch_at(0)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    errors = []
    for _ in range(12):
        draw = torch.Generator().manual_seed(1)
        asked, _ = module._asked(batch, draw)
        run = module._roll_out(batch, asked, draw)
        error = distillation_error(run.clean, teacher.estimate(run.state, run.time, batch, asked))
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error.detach()))
    assert errors[-1] < 0.7 * errors[0]
    assert not any(p.requires_grad or p.grad is not None for p in teacher.model.parameters())
    assert not [k for k in module.state_dict() if "teacher" in k]


def test_a_run_with_a_teacher_logs_how_far_it_is_and_exports_the_small_network(
    large, few_recipe, data, tmp_path, losses
):
    recipe = with_teacher(few_recipe, large)
    out = train(recipe, data, tmp_path / "run", init=large, device="cpu", progress=False)
    assert load(out).config.network.widths == (8, 8)
    assert all(v > 0 for v in losses(tmp_path / "run", "distillation").values())


def test_a_teacher_of_other_classes_is_refused_before_anything_is_written(
    large, few_recipe, data, tmp_path
):
    recipe = dataclasses.replace(with_teacher(few_recipe, large), mpp=0.4)
    with pytest.raises(ValueError, match=r"adversarial\.teacher.*mpp"):
        train(recipe, data, tmp_path / "run", init=large, device="cpu", progress=False)
    assert not (tmp_path / "run").exists()
