"""Starting from a checkpoint with other classes, and a run's weights as a checkpoint."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from napari_cosynth.cli import main
from napari_cosynth.io.settings import plain
from napari_cosynth.model.checkpoint import build, load, save
from napari_cosynth.model.looks import LookScale
from napari_cosynth.training.initial import models_of, start_from
from napari_cosynth.training.run import checkpoint_config, train


@pytest.fixture
def changed(recipe):
    """The same network for other classes: one kept, one gone, one new, in another order."""
    return dataclasses.replace(recipe, classes=("mitosis", "epithelial"))


@pytest.fixture
def start(recipe, tiny_checkpoint):
    return load(tiny_checkpoint)  # of inflammatory, epithelial, spindle-shaped


@pytest.fixture
def config(start, changed):
    network = {**plain(start.config.network), "preset": "compact"}
    del network["classes"]
    text = {"kind": "compact", "width": 16, "heads": 2}
    return checkpoint_config(dataclasses.replace(changed, network=network, text=text), ["lung"])


def test_rows_of_kept_names_are_copied_and_new_ones_made(start, config, tiny_checkpoint):
    torch.manual_seed(1)
    model = build(config)
    fresh = {k: v.clone() for k, v in model.state_dict().items()}
    said = start_from(model, config, tiny_checkpoint)
    old, new = start.model.state_dict(), model.state_dict()
    for key in ("network.labels.weight", "network.points.classes.weight"):
        assert torch.equal(new[key][0], old[key][0])  # background
        assert torch.equal(new[key][2], old[key][2])  # epithelial
        assert torch.equal(
            new[key][1], old[key][1]
        )  # mitosis: as the first, where no area is known
    # Four channels a pixel-shuffled plane: RGB and distance, then each class.
    for key in ("network.head.weight", "network.head.bias"):
        assert torch.equal(new[key][:20], old[key][:20])
        assert torch.equal(new[key][24:28], old[key][24:28])
        assert torch.equal(new[key][20:24], old[key][20:24])
    before, after = start.config.text["vocabulary"], config.text["vocabulary"]
    tokens = "text.tokens.weight"
    for row, word in enumerate(after):
        if word in before:
            assert torch.equal(new[tokens][row + 2], old[tokens][before.index(word) + 2]), word
        else:
            assert torch.equal(new[tokens][row + 2], fresh[tokens][row + 2]), word
    assert torch.equal(new[tokens][:2], old[tokens][:2])
    by_class = ("labels", "points.classes", "head", "tokens")
    for key in new:
        if not any(part in key for part in by_class):
            assert torch.equal(new[key], old[key]), key
    assert "classes kept 1 (epithelial), new 1 (mitosis)" in said
    assert "left out 2 (inflammatory, spindle-shaped)" in said
    assert "new 2 (lung, mitosis)" in said


def test_new_classes_start_as_different_old_ones_of_like_size(start):
    def sized(**areas):
        colors = tuple((i, i, i) for i in range(len(areas) + 1))
        names = ("background", *areas)
        network = dataclasses.replace(start.config.network, classes=len(names))
        return dataclasses.replace(
            start.config, network=network, class_names=names, class_colors=colors, areas=areas
        )

    old = sized(small=20.0, middle=40.0, large=80.0)
    new = sized(tumour=90.0, lymphocyte=18.0, middle=10.0)
    assert models_of(old, new) == {"tumour": "large", "lymphocyte": "small"}
    # Both are nearest to the same one: no class is taken twice, and the larger starts as the larger.
    assert models_of(old, sized(a=85.0, b=99.0)) == {"a": "middle", "b": "large"}
    # A class that the data have is no start for another one.
    assert models_of(old, sized(large=75.0, tumour=90.0)) == {"tumour": "middle"}
    many = models_of(old, sized(a=20.0, b=40.0, c=80.0, d=81.0))
    assert set(many.values()) == {"small", "middle", "large"} and len(many) == 4


def test_another_network_is_refused(start, config, tiny_checkpoint):
    other = dataclasses.replace(config, network=dataclasses.replace(config.network, patch=1))
    with pytest.raises(ValueError, match="its network's patch is 2, the recipe's 1"):
        start_from(build(other), other, tiny_checkpoint)
    other = dataclasses.replace(config, text={**config.text, "heads": 4})
    with pytest.raises(ValueError, match="its text encoder is"):
        start_from(build(other), other, tiny_checkpoint)


def test_a_fine_tuned_run_exports_and_states_its_start(recipe, data, tmp_path, capsys):
    """From the shell: train, fine-tune on another class, export, look at it."""
    recipe = dataclasses.replace(recipe, licence="CC-BY-NC-SA-4.0")
    first = train(recipe, data, tmp_path / "first", device="cpu", progress=False)
    entry = dataclasses.replace(recipe.data[0], classes={"unspecified": "nucleus"})
    changed = dataclasses.replace(
        recipe,
        classes=("nucleus",),
        licence="CC0-1.0",
        data=(entry,),
        optimizer=dataclasses.replace(recipe.optimizer, lr=0.0, weight_decay=0.0, ema=0.0),
    )
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(plain(changed)))
    run, out = tmp_path / "second", tmp_path / "exported"
    arguments = ["train", str(path), "--data", str(data), "--out", str(run), "--device", "cpu"]
    assert main([*arguments, "--init", str(first)]) == 0
    assert main(["export-checkpoint", str(run), str(out), "--float32"]) == 0
    before, after = load(first), load(out)
    assert after.config.class_names == ("background", "nucleus")
    assert "classes new 1 (nucleus)" in after.config.training["init"]
    assert after.config.training["steps"] == 8
    assert set(after.config.training["losses"]) >= {"val_image", "train_labels"}
    torch.testing.assert_close(
        after.model.network.stem.weight, before.model.network.stem.weight, rtol=0, atol=1e-6
    )
    averaged = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
    assert torch.equal(after.model.network.stem.weight, averaged["average.network.stem.weight"])
    licence = "CC0-1.0; of the weights it started from: CC-BY-NC-SA-4.0"
    assert after.config.licence == licence
    assert before.config.tiles == after.config.tiles
    ((key, names),) = before.config.tiles.items()
    assert key == f"{entry.kind} {entry.root}"
    assert names and not set(names) & set(entry.validation)
    card = (out / "README.md").read_text()
    for fact in (licence, "nucleus", "colon", "0.5 µm/px", "toy", "8", "started from"):
        assert fact in card
    capsys.readouterr()
    assert main(["info", str(out)]) == 0
    assert "nucleus" in capsys.readouterr().out
    assert main(["export-checkpoint", str(run), str(out)]) == 2
    assert "exists already; --overwrite replaces it" in capsys.readouterr().err
    assert main(["export-checkpoint", str(data), str(out), "--overwrite"]) == 2
    assert "no such file; is" in capsys.readouterr().err
    (run / "last.ckpt").write_bytes(b"PK\x03\x04 broken")
    assert main(["export-checkpoint", str(run), str(out), "--overwrite"]) == 2
    assert "not a run's state" in capsys.readouterr().err
    assert load(out).sha256 == after.sha256


def test_a_network_that_knows_more_of_a_look_starts_with_what_was_learned(few_checkpoint):
    start = load(few_checkpoint)
    mean, deviation = start.config.look.mean, start.config.look.deviation
    scale = LookScale((*mean, *(0.5,) * 6), (*deviation, *(2.0,) * 6))
    network = dataclasses.replace(start.config.network, look=22)
    config = dataclasses.replace(start.config, network=network, look=scale)
    model = build(config)
    torch.nn.init.normal_(model.network.look.weight)
    said = start_from(model, config, few_checkpoint)
    assert said.endswith("; 6 numbers of the look are new")
    weights = model.network.look.weight
    assert torch.equal(weights[:, :16], start.model.network.look.weight)
    assert not weights[:, 16:].any()
    with pytest.raises(ValueError, match="its network's look is 22, the recipe's 16"):
        start_from(
            build(start.config), start.config, save(model, config, few_checkpoint.parent / "m", "")
        )


def test_a_denoiser_goes_on_from_weights_that_follow_looks(recipe, data, few_checkpoint, tmp_path):
    """Its network keeps the look's layer, and a resumed run standardises looks as before."""
    start = load(few_checkpoint)
    network = {**plain(start.config.network), "preset": "compact"}
    del network["classes"], network["look"]
    text = {"kind": "compact", "width": 16, "heads": 2}
    like = dataclasses.replace(recipe, network=network, text=text)
    train(like, data, tmp_path / "run", init=few_checkpoint, device="cpu", max_hours=1e-9)
    before = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["state_dict"]
    train(like, data, tmp_path / "run", device="cpu", resume=True)
    made = load(tmp_path / "run" / "model")
    assert made.config.look.mean[:16] == start.config.look.mean
    assert made.config.network.look == 22 and made.config.nodes == ()
    key = "model.network.look.weight"
    after = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["state_dict"]
    assert not torch.equal(before[key], after[key])  # it learns
