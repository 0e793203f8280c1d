"""A real run, tiny: it logs, exports, resumes to the same losses, and refuses bad recipes."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest
import torch
from skimage.io import imsave

from napari_cosynth.model.checkpoint import load
from napari_cosynth.training.config import (
    DataConfig,
    OptimizerConfig,
    Recipe,
    StageConfig,
    bundled_recipes,
    load_recipe,
)
from napari_cosynth.training.data import CosynthData
from napari_cosynth.training.run import train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two tiles of dark squares on a light ground."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for kind in ("images", "instances"):
        (root / "toy" / kind).mkdir(parents=True)
    for name in ("a", "b"):
        ids = np.zeros((96, 96), np.uint16)
        for i, (y, x) in enumerate(np.argwhere(rng.random((6, 6)) < 0.4) * 16, start=1):
            ids[y + 3 : y + 11, x + 3 : x + 11] = i
        image = np.where(ids[..., None] > 0, 80, 200) + rng.integers(-9, 9, (96, 96, 3))
        imsave(root / "toy/images" / f"{name}.png", image.astype(np.uint8), check_contrast=False)
        imsave(root / "toy/instances" / f"{name}.png", ids, check_contrast=False)
    return root


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        name="toy",
        mpp=0.5,
        classes=("unspecified",),
        data=(
            DataConfig("folder", "toy", validation=("b",), options={"mpp": 0.5, "tissue": "colon"}),
        ),
        stages=(StageConfig(4, 32, 2), StageConfig(4, 48, 1)),
        network={
            "preset": "compact",
            "widths": [8, 16],
            "blocks": [1, 1],
            "cross_attention": [1],
            "text_width": 16,
            "point_channels": 8,
            "point_growth": 4,
        },
        text={"kind": "compact", "width": 16, "heads": 2},
        optimizer=OptimizerConfig(warmup=2, decay=2),
        validate_every=4,
        validation_patches=2,
        validation_crop=48,
        sample_layouts=1,
        sample_shape=48,
        sample_steps=2,
    )


def log(folder) -> list[dict[str, str]]:
    rows = []
    for path in sorted(folder.glob("log/version_*/metrics.csv")):
        with path.open() as handle:
            rows += list(csv.DictReader(handle))
    return rows


def validation_losses(folder) -> list[float]:
    return [float(r["val_image"]) for r in log(folder) if r.get("val_image")]


def test_a_run_logs_samples_and_exports(recipe, data, tmp_path):
    folder = train(recipe, data, tmp_path / "run", device="cpu", progress=False)
    run = tmp_path / "run"
    assert sorted(p.name for p in (run / "samples").iterdir()) == ["0000004.png", "0000008.png"]
    assert {"val_image", "val_distance", "val_labels", "train_image"} <= set(log(run)[0])
    assert len(validation_losses(run)) == 2
    checkpoint = load(folder)
    assert checkpoint.config.training["steps"] == 8
    assert checkpoint.config.tissues == ("colon",)
    assert checkpoint.model.text.unknown("colon tissue image") == []
    assert (run / "recipe.json").is_file()


def test_a_resumed_run_is_the_run_never_stopped(recipe, data, tmp_path):
    """Batches, noise and rate are functions of seed and step, so the weights are the same."""
    whole = load(train(recipe, data, tmp_path / "whole", device="cpu", progress=False))
    run = tmp_path / "halves"
    # The first call ends after its first epoch, its time used up.
    train(recipe, data, run, device="cpu", progress=False, max_hours=1e-6)
    assert len(validation_losses(run)) == 1
    halves = load(train(recipe, data, run, device="cpu", progress=False, resume=True))
    assert validation_losses(run) == pytest.approx(validation_losses(tmp_path / "whole"), abs=1e-6)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, halves.model.state_dict()[name]), name
    assert len(log(run)) >= 2


def test_starting_from_a_checkpoint(recipe, data, tmp_path):
    first = train(recipe, data, tmp_path / "first", device="cpu", progress=False)
    again = dataclasses.replace(recipe, optimizer=OptimizerConfig(lr=1e-12, warmup=1, ema=0.0))
    second = train(again, data, tmp_path / "second", init=first, device="cpu", progress=False)
    before, after = (load(f).model.state_dict() for f in (first, second))
    for name in before:
        torch.testing.assert_close(before[name], after[name], atol=1e-3, rtol=1e-3)
    other = dataclasses.replace(
        recipe,
        classes=("nucleus",),
        data=(dataclasses.replace(recipe.data[0], classes={"unspecified": "nucleus"}),),
    )
    with pytest.raises(ValueError, match="vocabulary"):
        train(other, data, tmp_path / "third", init=first, device="cpu", progress=False)


def test_runs_are_not_overwritten(recipe, data, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").write_text("mine")
    with pytest.raises(ValueError, match="exists already"):
        train(recipe, data, tmp_path / "run", device="cpu", progress=False)
    with pytest.raises(ValueError, match="nothing to resume"):
        train(recipe, data, tmp_path / "run", device="cpu", progress=False, resume=True)


def test_batches_depend_on_seed_and_step_alone(recipe, data):
    first, second = (CosynthData(recipe, data).stream for _ in range(2))
    a, b = first.batch_at(5), second.batch_at(5)
    assert torch.equal(a.clean.image, b.clean.image)
    assert torch.equal(a.noise.image, b.noise.image)
    assert torch.equal(a.t, b.t)
    assert not torch.equal(a.noise.image, first.batch_at(6).noise.image)
    assert a.clean.labels.shape == (1, 48, 48)
    assert first.batch_at(3).clean.labels.shape == (2, 32, 32)


def test_validation_tiles_are_never_trained_on(recipe, data):
    sets = CosynthData(recipe, data)
    train_tiles = {r.source for records in sets.training for r in records}
    held_out = {r.source for records in sets.validation for r in records}
    assert train_tiles
    assert held_out
    assert not train_tiles & held_out


def test_the_rate_warms_up_holds_and_decays():
    settings = OptimizerConfig(warmup=10, decay=20)
    rates = [settings.rate(step, 100) for step in range(100)]
    assert rates[0] == 0.1
    assert rates[10:80] == [1.0] * 70
    assert rates[90] == 0.5
    assert rates[-1] == pytest.approx(0.05)
    assert settings.rate(100, 100) == 0.02


def test_bundled_recipes_read():
    assert "default" in bundled_recipes()
    for name in bundled_recipes():
        load_recipe(name)


@pytest.mark.parametrize(
    "text,message",
    [
        ("name = 1", "name"),
        (
            'name = "a"\nmpp = 0.5\nclasses = ["b"]\nstages = []\ndata = []',
            "data: expected at least",
        ),
        ('nome = "a"', "nome|name"),
        ("][", "TOML"),
    ],
)
def test_a_bad_recipe_names_file_and_field(tmp_path, text, message):
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        load_recipe(path)
    assert "r.toml" in str(error.value)


def test_an_unknown_recipe_lists_the_bundled_ones():
    with pytest.raises(ValueError, match="bundled: default"):
        load_recipe("nothing")
