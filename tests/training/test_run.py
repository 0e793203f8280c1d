"""A real run, tiny: it logs, exports, starts from a checkpoint, and refuses bad recipes."""

from __future__ import annotations

import pytest
import torch

from napari_cosynth.model.checkpoint import load
from napari_cosynth.training.config import (
    OptimizerConfig,
    bundled_recipes,
    load_recipe,
)
from napari_cosynth.training.data import CosynthData
from napari_cosynth.training.run import train


def test_a_run_logs_samples_and_exports(recipe, data, tmp_path, losses):
    folder = train(recipe, data, tmp_path / "run", device="cpu", progress=False)
    run = tmp_path / "run"
    assert sorted(p.name for p in (run / "samples").iterdir()) == ["0000004.png", "0000008.png"]
    for name in ("val_image", "val_distance", "val_labels", "train_image"):
        assert list(losses(run, name)) == [3, 7], name
    checkpoint = load(folder)
    assert checkpoint.config.training["steps"] == 8
    assert checkpoint.config.tissues == ("colon",)
    assert checkpoint.model.text.unknown("colon tissue image") == []
    assert (run / "recipe.json").is_file()


def test_runs_are_not_overwritten(recipe, data, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").write_text("mine")
    with pytest.raises(FileExistsError, match="exists already"):
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
    assert a.clean.labels.shape == (2, 48, 48)
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
    with pytest.raises(ValueError, match=r"bundled: .*default"):
        load_recipe("nothing")
