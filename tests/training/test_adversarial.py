"""Training against a discriminator: what it leaves, what pulls at what, and what a roll-out is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_cosynth.model.checkpoint import build, load
from napari_cosynth.model.efficientnet import pretrained
from napari_cosynth.model.looks import LookScale, read_bank
from napari_cosynth.training.adversarial.discriminator import (
    Discriminator,
    Judged,
    hinge_of_discriminator,
)
from napari_cosynth.training.adversarial.losses import area_error, look_error, power_error
from napari_cosynth.training.adversarial.module import AdversarialDiffusion
from napari_cosynth.training.config import AdversarialConfig, DiscriminatorConfig
from napari_cosynth.training.data import CosynthData, tile_looks
from napari_cosynth.training.run import checkpoint_config, train


@pytest.fixture(scope="module")
def run(few_recipe, data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("few") / "run"
    train(few_recipe, data, out, device="cpu", progress=False)
    return out


@pytest.fixture
def module(few_recipe, data) -> AdversarialDiffusion:
    sets = CosynthData(few_recipe, data)
    scale = LookScale.over([tile.look for tile in tile_looks(sets.training)])
    torch.manual_seed(0)
    model = build(checkpoint_config(few_recipe, sets.tissues, scale))
    return AdversarialDiffusion(model, few_recipe, pretrained(), scale)


def test_the_bank_knows_densities_and_leaves_out_inked_tiles(few_recipe, data):
    first = CosynthData(few_recipe, data).training[0][0]
    image = first.image.copy()
    image[: len(image) // 10] = (45, 35, 40)
    inked = dataclasses.replace(first, image=image)
    (tile,) = tile_looks([[first, inked]])
    assert tile.density == round(first.layout.density) > 0
    area = np.prod(first.layout.shape) * first.mpp**2 / 1e6
    assert tile.density == pytest.approx(len(first.layout) / area, abs=1)


def test_a_run_exports_nodes_looks_and_a_card_that_names_the_features(run, few_recipe):
    checkpoint = load(run / "model")
    assert checkpoint.config.nodes == few_recipe.adversarial.nodes
    assert checkpoint.config.network.look == 22
    (tile,) = read_bank(run / "model")
    assert (tile.tile, tile.tissue, tile.shares) == ("a.png", "colon", {"unspecified": 1.0})
    card = (run / "model" / "README.md").read_text()
    assert "Apache-2.0" in card and "not needed to sample" in card
    assert not [k for k in checkpoint.model.state_dict() if "discriminator" in k]


def test_a_run_logs_both_sides_and_its_samples(run, losses):
    for name in ("power_1/4", "nucleus_area"):
        assert list(losses(run, name)) == [4, 8], name
    assert list(losses(run, "val_image")) == [3, 7]
    header = next((run / "log").glob("*/metrics.csv")).read_text()
    assert header


def test_the_recipe_is_kept_and_read_again(run, few_recipe):
    kept = json.loads((run / "recipe.json").read_text())
    assert kept["adversarial"]["nodes"] == list(few_recipe.adversarial.nodes)


def test_several_processes_are_refused_before_anything_is_read(few_recipe, tmp_path):
    with pytest.raises(ValueError, match="devices: adversarial training runs in one process"):
        train(few_recipe, tmp_path / "nowhere", tmp_path / "run", device="cpu", devices=2)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"nodes": (0.5, 0.9)}, "nodes: expected falling times"),
        ({"nodes": (0.9, 0.03)}, "nodes: expected times between 0 and 1"),
        ({"rows": 0}, "rows: expected at least 1"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        AdversarialConfig(**changes)


def test_a_batch_keeps_rows_for_the_denoiser(few_recipe):
    with pytest.raises(ValueError, match=r"adversarial\.rows: expected fewer than a batch of 3"):
        dataclasses.replace(
            few_recipe, adversarial=dataclasses.replace(few_recipe.adversarial, rows=3)
        )


def test_times_of_a_roll_out_fall_from_noise_and_end_at_every_node(module):
    draw = torch.Generator().manual_seed(0)
    ends, lengths = set(), set()
    for _ in range(300):
        times = module._draw_times(draw)
        assert times[0] == 0.999
        assert times == sorted(set(times), reverse=True)
        nearest = min(module.settings.nodes, key=lambda node: abs(node - times[-1]))
        assert abs(nearest - times[-1]) <= module.settings.jitter + 1e-9
        ends.add(nearest)
        lengths.add(len(times))
    assert ends == set(module.settings.nodes)
    assert lengths == {1, 2, 3}


def test_areas_count_what_would_be_sampled(few_recipe, data):
    labels = CosynthData(few_recipe, data).stream.batch_at(0).clean.labels
    hard = torch.nn.functional.one_hot(labels, 2).movedim(-1, 1).float()
    assert float(area_error(hard, labels)) == pytest.approx(0, abs=1e-6)
    assert float(area_error(torch.zeros_like(hard), labels)) == pytest.approx(1, rel=1e-3)


def test_a_look_is_asked_for_only_where_it_is_not_dropped(module, few_recipe, data):
    batch = CosynthData(few_recipe, data).stream.batch_at(0)
    draws = [module._asked(batch, torch.Generator().manual_seed(i)) for i in range(40)]
    for looks, asked in draws:
        assert (looks[~asked] == 0).all()
        assert (looks[asked] != 0).any()
    share = np.mean([asked.float().mean() for _, asked in draws])
    assert 0.75 < share < 1


def test_a_roll_out_is_held_to_the_look_and_the_spectrum_of_its_patch(module, few_recipe, data):
    image = CosynthData(few_recipe, data).stream.batch_at(0).clean.image
    grainy = image + 0.2 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    assert float(look_error(image, image, module.scale)) == pytest.approx(0, abs=1e-5)
    assert float(look_error(image - 0.3, image, module.scale)) > 0.1
    assert float(power_error(image, image)) == 0
    assert float(power_error(grainy, image)) > 0.1
    none = image[:0]
    assert float(look_error(none, none, module.scale)) == float(power_error(none, none)) == 0


def test_the_discriminator_learns_to_tell_labels_that_do_not_belong(few_recipe, data):
    """Real images with their own labels against the same images with another patch's: only a head
    that sees the labels can tell them apart."""
    stream = CosynthData(few_recipe, data).stream
    torch.manual_seed(0)
    judge = Discriminator(DiscriminatorConfig(blocks=(0, 2), width=16), 2, pretrained())
    optimizer = torch.optim.Adam(judge.parameters(), lr=3e-3, betas=(0.0, 0.99))

    def sides(step: int) -> tuple[Judged, Judged]:
        clean = stream.batch_at(step).clean
        labels = torch.nn.functional.one_hot(clean.labels, 2).movedim(-1, 1).float()
        real = Judged(clean.image, clean.distance, labels)
        return real, Judged(clean.image, clean.distance.roll(1, 0), labels.roll(1, 0))

    def scores(judged: Judged) -> list[torch.Tensor]:
        return judge(judged, judge.features(judged.image))

    for step in range(60):
        real, fake = sides(step % 4)
        loss = hinge_of_discriminator(scores(real), scores(fake))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        real, fake = sides(7)
        gaps = [float(r.mean() - f.mean()) for r, f in zip(scores(real), scores(fake), strict=True)]
    assert min(gaps) > 0.2


def test_features_are_scaled_once_and_frozen():
    judge = Discriminator(DiscriminatorConfig(blocks=(2,), width=8), 2, pretrained())
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    (first,) = judge.features(images)
    assert float(first.std()) == pytest.approx(1, rel=1e-4)
    scale = judge.scale.clone()
    judge.features(images * 0.1)
    assert torch.equal(judge.scale, scale)
    assert not [k for k in judge.state_dict() if "network" in k]
    assert not any(p.requires_grad for p in pretrained().parameters())


def test_the_features_draw_nothing():
    """A run's weights follow its seed, whether the features were read before or not."""
    pretrained.cache_clear()
    before = torch.random.get_rng_state()
    pretrained()
    assert torch.equal(torch.random.get_rng_state(), before)
