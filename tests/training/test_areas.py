"""The sizes of nuclei, fitted to training tiles by the biases of the label logits."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from napari_cosynth.model.checkpoint import build, load
from napari_cosynth.model.encoding import encode_points
from napari_cosynth.training.areas import areas, fit_areas, raise_logits, training_patches
from napari_cosynth.training.export import export_run
from napari_cosynth.training.run import checkpoint_config, train


@pytest.fixture
def model(recipe):
    torch.manual_seed(0)
    config = checkpoint_config(recipe, ["colon"])
    made = build(config)
    with torch.no_grad():  # logits that differ from pixel to pixel
        made.network.head.weight.normal_(0, 0.5)
    return made.eval().requires_grad_(False), config


def test_only_the_logits_of_a_class_are_raised(model, recipe, data):
    network, _ = model[0].network, model[1]
    (patch, *_) = training_patches(recipe, data)
    from napari_cosynth.diffusion.tensors import JointState
    from napari_cosynth.model.encoding import encode_condition, encode_records

    clean = encode_records([patch])
    condition = encode_condition(encode_points([patch.layout]), ["x"], model[0].text)

    def predict():
        state = JointState(clean.image, clean.distance, clean.labels)
        return network(state, torch.tensor([0.5]), network.prepare(condition))

    before = predict()
    raise_logits(model[0], np.array([0.0, 0.7]))
    after = predict()
    torch.testing.assert_close(after.image, before.image)
    torch.testing.assert_close(after.distance, before.distance)
    torch.testing.assert_close(after.label_logits[:, 0], before.label_logits[:, 0])
    torch.testing.assert_close(after.label_logits[:, 1], before.label_logits[:, 1] + 0.7)


def test_areas_come_nearer_to_the_real_ones(model, recipe, data):
    records = training_patches(recipe, data)[:3]
    found = fit_areas(*model, records, rounds=8)
    assert np.isnan(found[:, 0]).all()
    before, after = np.abs(np.log(found[:, 1]))
    assert before > 0.1
    assert after < before / 2


def test_areas_count_pixels():
    labels = [np.array([[0, 1], [1, 2]], np.uint8), np.array([[2]], np.uint8)]
    assert areas(labels, 4).tolist() == [1, 2, 2, 0]


def test_an_export_says_what_was_fitted(few_recipe, data, tmp_path):
    short = dataclasses.replace(few_recipe, stages=few_recipe.stages[:1])
    train(short, data, tmp_path / "run", device="cpu", progress=False)
    plain = load(export_run(tmp_path / "run", tmp_path / "plain"))
    fitted = load(export_run(tmp_path / "run", tmp_path / "fitted", areas_from=data))
    said = json.loads((tmp_path / "fitted" / "config.json").read_text())["training"]["areas"]
    assert said.keys() == {"over real before", "after"}
    assert "areas" not in plain.config.training
    assert (tmp_path / "fitted" / "looks.json").is_file()
    for name, tensor in plain.model.state_dict().items():
        if name != "network.head.bias":
            assert torch.equal(tensor, fitted.model.state_dict()[name]), name
