"""States small enough to carry: 5 bytes a weight, close to what they were, and whole or refused."""

from __future__ import annotations

import shutil

import pytest
import torch

from napari_cosynth.training.carried import read_carried, write_carried
from napari_cosynth.training.run import train


@pytest.fixture(scope="module", params=["recipe", "few_recipe"])
def recipe(request):
    """With one optimiser, and with a discriminator's beside it."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def stopped(recipe, data, tmp_path_factory):
    """A run stopped after two steps, between two validations."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    train(recipe, data, run, device="cpu", progress=False, max_hours=1e-9)
    train(recipe, data, run, resume=True, device="cpu", progress=False, max_hours=1e-9)
    return run


@pytest.fixture
def state(stopped, tmp_path):
    return shutil.copytree(stopped, tmp_path / "run") / "last.ckpt"


def test_there_and_back(state, tmp_path):
    files = write_carried(state, tmp_path / "carried", shard_mib=0.05)
    assert len(files) > 3
    assert max(f.stat().st_size for f in files if f.suffix != ".json") <= 0.05 * 2**20
    assert read_carried(tmp_path / "carried", tmp_path / "back.ckpt") == 2
    before, after = (torch.load(p, weights_only=True) for p in (state, tmp_path / "back.ckpt"))
    assert before["state_dict"].keys() == after["state_dict"].keys()
    for name, tensor in before["state_dict"].items():
        torch.testing.assert_close(after["state_dict"][name], tensor, rtol=2e-3, atol=1e-4)
    assert after["loops"] == before["loops"]
    assert after["callbacks"] == before["callbacks"]
    assert after["loss_sums"] == before["loss_sums"]
    optimizers = zip(before["optimizer_states"], after["optimizer_states"], strict=True)
    for one, two in optimizers:
        assert one["state"].keys() == two["state"].keys()
        for index, moments in one["state"].items():
            found = two["state"][index]
            # The step that AdamW would make: in units of the learning rate, at most about 10.
            steps = [m["exp_avg"] / (m["exp_avg_sq"].sqrt() + 1e-8) for m in (moments, found)]
            assert (steps[0] - steps[1]).abs().max() < 0.02 * steps[0].abs().max() + 1e-6
            large = moments["exp_avg_sq"] > 1e-12
            ratio = found["exp_avg_sq"][large] / moments["exp_avg_sq"][large]
            assert ((ratio > 0.8) & (ratio < 1.25)).all()


def test_a_run_goes_on_from_it(state, recipe, data, tmp_path, losses):
    """On another machine: the rest of the run, to nearly the same losses."""
    write_carried(state, tmp_path / "carried")
    other = tmp_path / "other"
    other.mkdir()
    read_carried(tmp_path / "carried", other / "last.ckpt")
    (other / "recipe.json").write_bytes((state.parent / "recipe.json").read_bytes())
    for run in (state.parent, other):
        train(recipe, data, run, resume=True, device="cpu", progress=False)
    exact = losses(state.parent, "val_image")
    for step, value in losses(other, "val_image").items():
        assert value == pytest.approx(exact[step], rel=1e-3)


@pytest.mark.parametrize("damage", ["missing", "changed", "json"])
def test_a_damaged_one_is_refused(state, tmp_path, damage):
    files = write_carried(state, tmp_path / "carried", shard_mib=0.05)
    if damage == "missing":
        files[0].unlink()
    elif damage == "changed":
        content = bytearray(files[0].read_bytes())
        content[-1] ^= 1
        files[0].write_bytes(content)
    else:
        (tmp_path / "carried" / "state.json").write_text("{}")
    with pytest.raises(ValueError, match="not a carried state"):
        read_carried(tmp_path / "carried", tmp_path / "back.ckpt")
    assert not (tmp_path / "back.ckpt").exists()
